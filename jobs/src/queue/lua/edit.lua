--[[
  Change what a dead job will find when it is put back, and keep who did so and why.

  KEYS[1] dead letters (hash)    KEYS[3] counters (hash)
  KEYS[2] record of the pair     KEYS[4] events (stream)
  ARGV[1] job                    ARGV[4] field of the record to change, or ''
  ARGV[2] letter, as it was read ARGV[5] its value, as it was read
  ARGV[3] letter to store        ARGV[6] its new value
  ARGV[7] audit record; it becomes the field edit:<ms> of the pair's record
  ARGV[8] events kept, about

  Returns   the millisecond under which the audit record is kept
            0  no such dead letter
           -1  letter or field are not as they were read, or the record is gone; nothing was changed
  Emits     counter held_bytes; event edited
]]
local letter = redis.call('HGET', KEYS[1], ARGV[1])
if not letter then return 0 end
if letter ~= ARGV[2] then return -1 end
if redis.call('HEXISTS', KEYS[2], 'state') == 0 then return -1 end
if ARGV[4] ~= '' and redis.call('HGET', KEYS[2], ARGV[4]) ~= ARGV[5] then return -1 end

local time = redis.call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000)
-- Two edits within one millisecond are both kept.
while redis.call('HSETNX', KEYS[2], string.format('edit:%.0f', at), ARGV[7]) == 0 do at = at + 1 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[2], ARGV[4], ARGV[6]) end
local grown = #ARGV[7] + #ARGV[6] - #ARGV[5]
redis.call('HINCRBY', KEYS[2], 'bytes', grown)
redis.call('HINCRBY', KEYS[3], 'held_bytes', grown)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[8], '*', 'event', 'edited', 'job', ARGV[1])
return at
