--[[
  Cancel a pair that is under way, or withdraw one that is ready: it ends as rejected, which frees its place. Its
  entries in streams are left alone, since to delete one that nobody has read would hide the backlog from
  XINFO: whoever claims one finds the pair ended and drops it.

  KEYS[1] open pairs (zset)       KEYS[6] events (stream)                        KEYS[11] dead letters (hash)
  KEYS[2] ready list              KEYS[7] rejected pairs (zset by ms)            KEYS[12], KEYS[13] record and
  KEYS[3] ready bodies (hash)     KEYS[8] journals of ended pairs (zset by ms)   journal of the pair
  KEYS[4] taken pairs (zset)      KEYS[9] delayed jobs (zset by due ms)
  KEYS[5] counters (hash)         KEYS[10] dead jobs (zset)   KEYS[14..19] delayed entries of the six steps (hashes)
  ARGV[1] pair id                 ARGV[3] events kept, about
  ARGV[2] reason, for people      ARGV[4] number of delayed members, at most 500
  then those members and the dead jobs of the pair, at most 500

  Returns   1  cancelled: it was under way
            2  withdrawn: it was ready
            0  it has ended already, or never was
           -1  it is being handed over
  Emits     counters cancelled, rejected and the bytes of held, rejected and journals; event cancelled
]]
local was, body_bytes = 1, redis.call('HSTRLEN', KEYS[3], ARGV[1])
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  if redis.call('ZSCORE', KEYS[4], ARGV[1]) then return -1 end
  if redis.call('HDEL', KEYS[3], ARGV[1]) == 0 then return 0 end
  redis.call('LREM', KEYS[2], 1, ARGV[1])
  -- Its body is gone; what is left of it is what the rejected pairs hold.
  redis.call('HSET', KEYS[12], 'bytes', (redis.call('HGET', KEYS[12], 'bytes') or body_bytes) - body_bytes)
  redis.call('HINCRBY', KEYS[5], 'held_bytes', 0 - body_bytes)
  was = 2
end
local delayed = tonumber(ARGV[4])
for i = 5, #ARGV do
  if i < 5 + delayed then
    local lane = tonumber(string.match(ARGV[i], '^(%d%d?):'))
    redis.call('ZREM', KEYS[9], ARGV[i])
    redis.call('HDEL', KEYS[14 + (lane - 1) % 6], ARGV[i])
  else
    redis.call('ZREM', KEYS[10], ARGV[i])
    redis.call('HDEL', KEYS[11], ARGV[i])
  end
end
reject(KEYS[7], raises(KEYS[5]), KEYS[12], ARGV[1], ARGV[2])
if was == 1 then keep_journal(KEYS[8], raises(KEYS[5]), KEYS[12], KEYS[13], ARGV[1]) end
redis.call('HINCRBY', KEYS[5], 'cancelled', 1)
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[3], '*', 'event', 'cancelled', 'pair', ARGV[1])
return was
