--[[
  Put a pair where its record says it is, and nowhere else. A ready pair whose body is lost ends as rejected; one
  whose record is lost can still be handed out.

  KEYS[1] open pairs (zset)        KEYS[5] record of the pair (hash)
  KEYS[2] ready list               KEYS[6] rejected pairs (zset by ms)
  KEYS[3] taken pairs (zset)       KEYS[7] counters (hash)
  KEYS[4] ready bodies (hash)
  ARGV[1] pair id   ARGV[2] reason, for people, of a pair whose body is lost

  Returns   1
  Emits     counters rejected, and the bytes of held and rejected
]]
local pair = ARGV[1]
local state = redis.call('HGET', KEYS[5], 'state')
local ready = state ~= 'open' and redis.call('HEXISTS', KEYS[4], pair) == 1 and (state == 'ready' or not state)

if state == 'open' then
  redis.call('ZADD', KEYS[1], 'NX', now_ms(), pair)
else
  redis.call('ZREM', KEYS[1], pair)
end
if not ready then
  redis.call('HDEL', KEYS[4], pair)
  redis.call('ZREM', KEYS[3], pair)
end
local listed = redis.call('LREM', KEYS[2], 0, pair)
if ready then
  redis.call('HSET', KEYS[5], 'state', 'ready')
  -- Of a record that was lost, what is left is the body.
  redis.call('HSETNX', KEYS[5], 'bytes', redis.call('HSTRLEN', KEYS[4], pair))
  if not redis.call('ZSCORE', KEYS[3], pair) then
    redis.call(listed > 0 and 'LPUSH' or 'RPUSH', KEYS[2], pair)
  end
elseif state == 'ready' then
  reject(KEYS[6], raises(KEYS[7]), KEYS[5], pair, ARGV[2])
end
return 1
