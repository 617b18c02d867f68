--[[
  Put a dead letter back into its stream.

  KEYS[1] dead jobs (zset)       KEYS[3] stream of the lane   KEYS[5] events (stream)
  KEYS[2] dead letters (hash)    KEYS[4] counters (hash)
  ARGV[1] job                    ARGV[3] events kept, about
  ARGV[2] letter, as it was read ARGV[4..] names and values of the entry's fields

  Returns   the id of the new entry
            'changed'  the letter is not as it was read; nothing was moved
            ''         no such dead letter: never was, or put back by somebody else
  Emits     counter and event replayed
]]
local letter = redis.call('HGET', KEYS[2], ARGV[1])
if not letter then return '' end
if letter ~= ARGV[2] then return 'changed' end

redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HINCRBY', KEYS[4], 'replayed', 1)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[3], '*', 'event', 'replayed', 'job', ARGV[1])
return redis.call('XADD', KEYS[3], '*', unpack(ARGV, 4))
