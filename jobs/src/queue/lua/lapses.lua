--[[
  Say when the leases of each lane can lapse. A lane without its group has none.

  A lease that was renewed within the last third of its time cannot lapse before the other two are over, and is
  not looked at: where all is well the answer is short, however many jobs are claimed.

  KEYS[1..12] streams of the twelve lanes
  ARGV[1] consumer group   ARGV[2] lease in milliseconds   ARGV[3] how many of a lane at most, at most 500

  Returns   for each lane the milliseconds until its first lease can lapse; 0 when one has
  Emits     nothing
]]
local lease = tonumber(ARGV[2])
local fresh = math.floor(lease / 3)
local times = {}
for lane, stream in ipairs(KEYS) do
  times[lane] = lease - fresh
  local pending = redis.pcall('XPENDING', stream, ARGV[1], 'IDLE', fresh, '-', '+', ARGV[3])
  if not pending.err then
    for _, p in ipairs(pending) do times[lane] = math.max(0, math.min(times[lane], lease - p[3])) end
  end
end
return times
