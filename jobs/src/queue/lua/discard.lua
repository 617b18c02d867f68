--[[
  Give a dead letter up: it goes, and its pair ends as rejected, which frees the pair's place.

  KEYS[1] dead jobs (zset)       KEYS[4] counters (hash)
  KEYS[2] dead letters (hash)    KEYS[5] events (stream)
  KEYS[3] open pairs (zset)      KEYS[6], KEYS[7] record and journal of the pair, absent where the letter names none
  ARGV[1] job                    ARGV[3] reason, for people
  ARGV[2] pair id or ''          ARGV[4] seconds for which record and journal are kept
  ARGV[5] events kept, about

  Returns   1  given up
            0  no such dead letter
  Emits     counters discarded, rejected, held_bytes; event discarded
]]
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[4], 'discarded', 1)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[5], '*', 'event', 'discarded', 'job', ARGV[1])
if KEYS[6] and redis.call('ZREM', KEYS[3], ARGV[2]) == 1 then
  redis.call('HSET', KEYS[6], 'state', 'rejected', 'reason', ARGV[3])
  redis.call('EXPIRE', KEYS[6], ARGV[4])
  redis.call('EXPIRE', KEYS[7], ARGV[4])
  redis.call('HINCRBY', KEYS[4], 'rejected', 1)
  redis.call('HINCRBY', KEYS[4], 'held_bytes', -tonumber(redis.call('HGET', KEYS[6], 'bytes') or 0))
end
return 1
