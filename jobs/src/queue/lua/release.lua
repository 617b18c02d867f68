--[[
  Hand back a delivery that was not run to its end: another worker gets it at once, with nothing counted.
  Only its owner may say so.

  KEYS[1] stream of the lane   KEYS[2] counters (hash)
  ARGV[1] consumer group       ARGV[3] stream entry id
  ARGV[2] consumer name        ARGV[4] entry to add again

  Returns   1  handed back
            0  lease lost: the entry is not pending for this consumer
  Emits     counter released
]]
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #pending == 0 or pending[1][2] ~= ARGV[2] then return 0 end

redis.call('XADD', KEYS[1], '*', 'job', ARGV[4])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
redis.call('HINCRBY', KEYS[2], 'released', 1)
return 1
