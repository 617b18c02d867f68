--[[
  Take over entries whose leases have lapsed.

  KEYS[1] stream of the lane   KEYS[2] counters (hash)
  ARGV[1] consumer group       ARGV[4] cursor, 0-0 to begin with
  ARGV[2] consumer name        ARGV[5] how many at most, at most 500
  ARGV[3] lease in milliseconds

  Returns   {next cursor, list of {entry id, deliveries so far, fields}}
  Emits     counter reclaimed
]]
local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5])
local found = {}
for _, entry in ipairs(claimed[2]) do
  -- Redis 6.2 answers with a nil for an entry that somebody deleted, later ones leave it out.
  if entry and entry[2] then
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1)
    table.insert(found, {entry[1], pending[1] and pending[1][4] or 1, entry[2]})
  end
end
if #found > 0 then redis.call('HINCRBY', KEYS[2], 'reclaimed', #found) end
return {claimed[1], found}
