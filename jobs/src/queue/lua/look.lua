--[[
  No move by itself: put in front of the scripts that write all or nothing.

  Returns   nothing
]]

-- Redis takes nothing back when a command fails. So what will be written is first read as what it must be, which
-- fails on anything else while nothing is changed yet, and says where.
local function look(read, key, ...)
  local found = redis.pcall(read, key, ...)
  if type(found) == 'table' and found.err then error(key .. ': ' .. found.err, 0) end
  return found
end

