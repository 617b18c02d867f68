--[[
  The consumer of a taken pair went away: the pair is the head of the ready list again.

  KEYS[1] ready list   KEYS[2] taken pairs (zset by lapse ms)
  ARGV[1] pair id   ARGV[2] ms at which its lease lapses: another one is somebody else's

  Returns   1  put back
            0  it is not taken under that lease: delivered, put back before, or lapsed
  Emits     nothing
]]
local lapses = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not lapses or tonumber(lapses) ~= tonumber(ARGV[2]) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('LPUSH', KEYS[1], ARGV[1])
return 1
