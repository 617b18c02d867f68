--[[
  Correct the bytes that are held, unless they have changed since they were counted.

  KEYS[1] counters (hash)
  ARGV[1] what the counter said, 0 where there was none   ARGV[2] what it should say

  Returns   1  corrected
            0  it has changed meanwhile
  Emits     counter held_bytes
]]
if (redis.call('HGET', KEYS[1], 'held_bytes') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'held_bytes', ARGV[2])
return 1
