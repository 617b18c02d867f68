--[[
  The consumer of a taken pair went away: the pair is the head of the ready list again.

  KEYS[1] ready list   KEYS[2] taken pairs (zset by lapse ms)
  ARGV[1] pair id

  Returns   1  put back
            0  it was not taken: delivered, or put back before
  Emits     nothing
]]
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[1], ARGV[1])
return 1
