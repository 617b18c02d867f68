--[[
  Put a dead letter back into its stream.

  KEYS[1] dead jobs (zset)       KEYS[3] stream of the lane   KEYS[5] events (stream)
  KEYS[2] dead letters (hash)    KEYS[4] counters (hash)
  ARGV[1] job   ARGV[2] events kept, about   ARGV[3..] names and values of the entry's fields

  Returns   1  put back
            0  no such dead letter: never was, or put back by somebody else
  Emits     counter and event replayed
]]
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('XADD', KEYS[3], '*', unpack(ARGV, 3))
redis.call('HINCRBY', KEYS[4], 'replayed', 1)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[2], '*', 'event', 'replayed', 'job', ARGV[1])
return 1
