--[[
  Give a dead letter up: it goes, and its pair ends as rejected, which frees the pair's place.

  KEYS[1] dead jobs (zset)       KEYS[4] counters (hash)
  KEYS[2] dead letters (hash)    KEYS[5] record of the pair (hash), absent where the letter names none
  KEYS[3] open pairs (zset)      KEYS[6] journal of the pair (hash), likewise
  ARGV[1] job                    ARGV[3] reason, for people
  ARGV[2] pair id or ''          ARGV[4] seconds for which record and journal are kept

  Returns   1  given up
            0  no such dead letter
  Emits     counters discarded, rejected
]]
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[4], 'discarded', 1)
if KEYS[5] and redis.call('ZREM', KEYS[3], ARGV[2]) == 1 then
  redis.call('HSET', KEYS[5], 'state', 'rejected', 'reason', ARGV[3])
  redis.call('EXPIRE', KEYS[5], ARGV[4])
  redis.call('EXPIRE', KEYS[6], ARGV[4])
  redis.call('HINCRBY', KEYS[4], 'rejected', 1)
end
return 1
