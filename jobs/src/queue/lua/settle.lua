--[[
  Leave a job in one place: its stream before the delayed jobs, those before the dead letters. What is half
  there, a time without its entry or an entry without its time, is made whole or goes.

  KEYS[1] delayed jobs (zset by due ms)         KEYS[3] dead jobs (zset by ms of death)
  KEYS[2] delayed entries of the step (hash)    KEYS[4] dead letters (hash)
  ARGV[1] member of the delayed job   ARGV[2] job   ARGV[3] 1 when it is in its stream

  Returns   1
  Emits     nothing
]]
if ARGV[3] == '1' then
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('HDEL', KEYS[4], ARGV[2])
end
local delayed = redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1
if delayed then redis.call('HDEL', KEYS[4], ARGV[2]) end
local function settle(whole, times, member)
  if whole then
    redis.call('ZADD', times, 'NX', now_ms(), member)
  else
    redis.call('ZREM', times, member)
  end
end
settle(delayed, KEYS[1], ARGV[1])
settle(redis.call('HEXISTS', KEYS[4], ARGV[2]) == 1, KEYS[3], ARGV[2])
return 1
