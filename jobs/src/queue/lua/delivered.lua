--[[
  A pair has been written out to its consumer: it is gone. If its lease has lapsed meanwhile, it is taken out
  of the list again, where it is near the head.

  KEYS[1] ready list                      KEYS[4] counters (hash)
  KEYS[2] taken pairs (zset by lapse ms)  KEYS[5] record of the pair (hash)
  KEYS[3] ready bodies (hash)             KEYS[6] events (stream)   KEYS[7] delivered pairs (zset by ms)
  ARGV[1] pair id                         ARGV[2] events kept, about

  Returns   1  gone
            0  it was gone already
  Emits     counters delivered, held_bytes, finished_bytes; event delivered
]]
local body_bytes = redis.call('HSTRLEN', KEYS[3], ARGV[1])
if redis.call('HDEL', KEYS[3], ARGV[1]) == 0 then return 0 end
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then redis.call('LREM', KEYS[1], 1, ARGV[1]) end
local bytes = tonumber(redis.call('HGET', KEYS[5], 'bytes') or body_bytes)
redis.call('HSET', KEYS[5], 'state', 'delivered', 'bytes', bytes - body_bytes)
redis.call('ZADD', KEYS[7], now_ms(), ARGV[1])
redis.call('HINCRBY', KEYS[4], 'delivered', 1)
redis.call('HINCRBY', KEYS[4], 'held_bytes', 0 - bytes)
redis.call('HINCRBY', KEYS[4], 'finished_bytes', bytes - body_bytes)
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[2], '*', 'event', 'delivered', 'pair', ARGV[1])
return 1
