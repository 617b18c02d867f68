--[[
  Start pairs, each with its first fields and its first job, as many as the marks allow.

  KEYS[1] open pairs (zset by start ms)   KEYS[4] counters (hash)   KEYS[6..17] streams of the twelve lanes
  KEYS[2] ready list                      KEYS[5] events (stream)   KEYS[17+n] record of the n-th pair (hash)
  KEYS[3] taken pairs (zset)
  ARGV[1] low mark, -1 for none           ARGV[3] number of pairs, at most 500
  ARGV[2] high mark, -1 for none          ARGV[4] events kept, about
  then for each pair: id, lane (1 to 12) and entry of its first job, number of fields, each field's name and value

  Returns   how many were started; a pair that exists already is passed over, so repeating is safe
  Emits     counters started, held_bytes; event started
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
local at, started, held = 4, 0, 0
for n = 1, count do
  if started >= room then break end
  local pair, lane, entry, fields = ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], 2 * tonumber(ARGV[at + 4])
  local record = KEYS[17 + n]
  if redis.call('HSETNX', record, 'state', 'open') == 1 then
    local bytes = 0
    for i = at + 5, at + 4 + fields do bytes = bytes + #ARGV[i] end
    redis.call('HSET', record, 'bytes', bytes, unpack(ARGV, at + 5, at + 4 + fields))
    redis.call('ZADD', KEYS[1], now, pair)
    redis.call('XADD', KEYS[5 + lane], '*', 'job', entry)
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[4], '*', 'event', 'started', 'pair', pair)
    started, held = started + 1, held + bytes
  end
  at = at + 4 + fields
end
if started > 0 then
  redis.call('HINCRBY', KEYS[4], 'started', started)
  redis.call('HINCRBY', KEYS[4], 'held_bytes', held)
end
return started
