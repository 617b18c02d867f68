--[[
  Say which lanes hold entries whose lease has lapsed. A lane without its group has none.

  KEYS[1..12] streams of the twelve lanes
  ARGV[1] consumer group   ARGV[2] lease in milliseconds

  Returns   the numbers of the lanes, 1 to 12
  Emits     nothing
]]
local lanes = {}
for lane, stream in ipairs(KEYS) do
  local pending = redis.pcall('XPENDING', stream, ARGV[1], 'IDLE', ARGV[2], '-', '+', 1)
  if not pending.err and #pending > 0 then table.insert(lanes, lane) end
end
return lanes
