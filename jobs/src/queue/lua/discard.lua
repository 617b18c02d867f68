--[[
  Give a dead letter up: it goes, and its pair ends as rejected, which frees the pair's place.

  KEYS[1] dead jobs (zset)       KEYS[4] counters (hash)
  KEYS[2] dead letters (hash)    KEYS[5] events (stream)
  KEYS[3] open pairs (zset)      KEYS[6] rejected pairs (zset by ms)
  KEYS[7] journals of ended pairs (zset by ms)
  KEYS[8], KEYS[9] record and journal of the pair, absent where the letter names none
  ARGV[1] job                    ARGV[3] reason, for people
  ARGV[2] pair id or ''          ARGV[4] events kept, about

  Returns   1  given up
            0  no such dead letter
  Emits     counters discarded, rejected and the bytes of held, rejected and journals; event discarded
]]
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[4], 'discarded', 1)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[4], '*', 'event', 'discarded', 'job', ARGV[1])
if KEYS[8] and redis.call('ZREM', KEYS[3], ARGV[2]) == 1 then
  reject(KEYS[6], raises(KEYS[4]), KEYS[8], ARGV[2], ARGV[3])
  keep_journal(KEYS[7], raises(KEYS[4]), KEYS[8], KEYS[9], ARGV[2])
end
return 1
