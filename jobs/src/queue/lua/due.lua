--[[
  Count the delayed jobs whose time has come.

  KEYS[1] delayed jobs (zset by due ms)   ARGV[1] how many to look at, at most 500

  Returns   a number for each of the six steps
  Emits     nothing
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local steps = {0, 0, 0, 0, 0, 0}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[1]))) do
  local lane = tonumber(string.match(member, '^(%d%d?):'))
  if lane and lane >= 1 and lane <= 12 then
    local step = (lane - 1) % 6 + 1
    steps[step] = steps[step] + 1
  end
end
return steps
