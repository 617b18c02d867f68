--[[
  Start pairs, each with its first fields and its first job, as many as the marks and the bounds allow.

  KEYS[1] open pairs (zset by start ms)   KEYS[4] counters (hash)            KEYS[7..18] streams of the twelve lanes
  KEYS[2] ready list                      KEYS[5] events (stream)            KEYS[18+n] record of the n-th pair (hash)
  KEYS[3] taken pairs (zset)              KEYS[6] that there is memory (string, expires)
  ARGV[1] low mark, -1 for none           ARGV[4] the most bytes held
  ARGV[2] high mark, -1 for none          ARGV[5] percent of Redis's memory from which on nothing is started
  ARGV[3] the most pairs held             ARGV[6] events kept, about   ARGV[7] number of pairs, at most 200
  then for each pair: id, lane (1 to 12) and entry of its first job, number of fields, each field's name and value

  Returns   for each pair  1  started
                           2  it exists already, so repeating is safe
                           0  not wanted: the marks are reached
                          -1  refused: as many pairs are held as may be
                          -2  refused: as many bytes are held as may be
                          -3  refused: Redis is nearly out of memory
  Emits     counters started, held_bytes; event started
]]
local low, high, pairs_max, bytes_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local count = tonumber(ARGV[7])
local total = look('ZCARD', KEYS[1]) + look('LLEN', KEYS[2]) + look('ZCARD', KEYS[3])
local wanted = low < 0 and count or total < low and high - total or 0

-- To say how much memory it has takes Redis a sixth of a start and more, so "enough" holds for a tenth of a second.
local function out_of_memory()
  local left = redis.call('PTTL', KEYS[6])
  -- Neither for ever nor for long, whoever wrote it and however the clock was set.
  if left > 0 and left <= 100 then return false end
  local info = redis.call('INFO', 'memory')
  local most = tonumber(string.match(info, '\nmaxmemory:(%d+)') or 0)
  if most > 0 and tonumber(string.match(info, '\nused_memory:(%d+)')) >= most * tonumber(ARGV[5]) / 100 then return true end
  redis.call('SET', KEYS[6], 1, 'PX', 100)
  return false
end
local results = {}
if wanted <= 0 then
  for n = 1, count do results[n] = 0 end
  return results
end

local full = out_of_memory() and -3
local counted = look('HMGET', KEYS[4], 'held_bytes', 'started')
for n, name in ipairs({'held_bytes', 'started'}) do
  local is = counted[n] or '0'
  if not string.match(is, '^-?%d+$') then
    error(KEYS[4] .. ': the field ' .. name .. ' is `' .. string.sub(is, 1, 20) .. '` and no whole number: HSET it to one', 0)
  end
end
local held = tonumber(counted[1] or 0)

local time = redis.call('TIME')
-- Here and below as text: Redis writes out the numbers that Lua hands it at three times the cost.
local now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))

look('XLEN', KEYS[5])
local at, added, starts, open, met, looked = 7, 0, {}, {}, {}, {}
for n = 1, count do
  local record, lane, bytes, last = KEYS[18 + n], tonumber(ARGV[at + 2]), 0, at + 4 + 2 * tonumber(ARGV[at + 4])
  for i = at + 5, last do bytes = bytes + #ARGV[i] end
  if #starts >= wanted then
    results[n] = 0
  elseif met[record] or look('HEXISTS', record, 'state') == 1 then
    results[n] = 2
  else
    results[n] = full or total + #starts >= pairs_max and -1 or held + added + bytes > bytes_max and -2 or 1
  end
  if results[n] == 1 then
    looked[lane] = looked[lane] or look('XLEN', KEYS[6 + lane])
    table.insert(starts, {record, lane, string.format('%d', bytes), at, last})
    table.insert(open, now)
    table.insert(open, ARGV[at + 1])
    met[record], added = true, added + bytes
  end
  at = last
end
if #starts == 0 then return results end

for _, start in ipairs(starts) do
  local record, lane, bytes, from, last = unpack(start)
  redis.call('HSET', record, 'state', 'open', 'bytes', bytes, unpack(ARGV, from + 5, last))
  redis.call('XADD', KEYS[6 + lane], '*', 'job', ARGV[from + 3])
  redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[6], '*', 'event', 'started', 'pair', ARGV[from + 1])
end
-- One command for all of them costs less.
redis.call('ZADD', KEYS[1], unpack(open))
redis.call('HINCRBY', KEYS[4], 'started', #starts)
redis.call('HINCRBY', KEYS[4], 'held_bytes', added)
return results
