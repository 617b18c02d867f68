--[[
  Start pairs, each with its first fields and its first job, as many as the marks allow.

  KEYS[1] open pairs (zset by start ms)   KEYS[4] counters (hash)
  KEYS[2] ready list                      KEYS[5] stream of the first step
  KEYS[3] taken pairs (zset)              KEYS[5+n] record of the n-th pair (hash)
  ARGV[1] low mark, -1 for none           ARGV[3] number of pairs, at most 500
  ARGV[2] high mark, -1 for none
  then for each pair: id, entry of its first job, number of fields, and each field's name and value

  Returns   how many were started; a pair that exists already is passed over, so repeating is safe
  Emits     counter started
]]
local low, high, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local room = count
if low >= 0 then
  local total = redis.call('ZCARD', KEYS[1]) + redis.call('LLEN', KEYS[2]) + redis.call('ZCARD', KEYS[3])
  if total >= low then return 0 end
  room = math.min(room, high - total)
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at, started = 3, 0
for n = 1, count do
  if started >= room then break end
  local pair, entry, fields = ARGV[at + 1], ARGV[at + 2], 2 * tonumber(ARGV[at + 3])
  local record = KEYS[5 + n]
  if redis.call('HSETNX', record, 'state', 'open') == 1 then
    if fields > 0 then redis.call('HSET', record, unpack(ARGV, at + 4, at + 3 + fields)) end
    redis.call('ZADD', KEYS[1], now, pair)
    redis.call('XADD', KEYS[5], '*', 'job', entry)
    started = started + 1
  end
  at = at + 3 + fields
end
if started > 0 then redis.call('HINCRBY', KEYS[4], 'started', started) end
return started
