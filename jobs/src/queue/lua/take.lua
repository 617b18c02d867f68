--[[
  Take the pair at the head of the ready list, for as long as the hand-over lease lasts. Pairs whose lease has
  lapsed are the head again first, the one that was taken first in front.

  KEYS[1] ready list                      KEYS[3] ready bodies (hash)
  KEYS[2] taken pairs (zset by lapse ms)
  ARGV[1] lease in milliseconds           ARGV[2] how many lapsed leases and empty heads at most, at most 100

  Returns   {pair id, body, ms at which the lease lapses}, or {} when none is ready
  Emits     nothing
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lapsed = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[2]))
for i = #lapsed, 1, -1 do redis.call('LPUSH', KEYS[1], lapsed[i]) end
if #lapsed > 0 then redis.call('ZREM', KEYS[2], unpack(lapsed)) end

for _ = 1, tonumber(ARGV[2]) do
  local pair = redis.call('LPOP', KEYS[1])
  if not pair then return {} end
  local body = redis.call('HGET', KEYS[3], pair)
  -- An id without a body is nothing that anybody could be given.
  if body then
    local lapses = now + tonumber(ARGV[1])
    redis.call('ZADD', KEYS[2], lapses, pair)
    return {pair, body, string.format('%.0f', lapses)}
  end
end
return {}
