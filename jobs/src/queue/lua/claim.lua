--[[
  Claim new entries of a step without waiting: of the preferred lane first, of the other what is left to take.

  KEYS[1] stream of the preferred lane   KEYS[2] stream of the other lane
  ARGV[1] consumer group   ARGV[2] consumer name   ARGV[3] how many at most, at most 500

  Returns   {list of {entry id, fields} of KEYS[1], list of the same of KEYS[2]}
  Emits     nothing
]]
local function read(stream, count)
  if count == 0 then return {} end
  local found = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', stream, '>')
  return found and found[1] and found[1][2] or {}
end
local count = tonumber(ARGV[3])
local first = read(KEYS[1], count)
return {first, read(KEYS[2], count - #first)}
