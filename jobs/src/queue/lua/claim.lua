--[[
  Claim new entries of a step without waiting: of the preferred lane first, of the other what is left to take.

  KEYS[1] stream of the preferred lane   KEYS[2] stream of the other lane
  ARGV[1] consumer group   ARGV[2] consumer name   ARGV[3] how many at most, at most 500

  Returns   {list of {entry id, fields} of KEYS[1], list of the same of KEYS[2], places}; places are the ids of the
            last entries delivered of both, where nothing was found, and else empty: what comes after them is new
  Emits     nothing
]]
local function read(stream, count)
  if count == 0 then return {} end
  local found = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', stream, '>')
  return found and found[1] and found[1][2] or {}
end
local function delivered(stream)
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local facts = {}
    for at = 1, #group, 2 do facts[group[at]] = group[at + 1] end
    if facts['name'] == ARGV[1] then return facts['last-delivered-id'] end
  end
end
local count = tonumber(ARGV[3])
local first = read(KEYS[1], count)
local second = read(KEYS[2], count - #first)
if #first + #second > 0 then return {first, second, {}} end
return {first, second, {delivered(KEYS[1]), delivered(KEYS[2])}}
