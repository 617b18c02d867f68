--[[
  Renew the leases of entries that are still this consumer's. A plain XCLAIM would steal back the others.

  KEYS[1] stream of the step
  ARGV[1] consumer group   ARGV[2] consumer name   ARGV[3..] entry ids, at most 500

  Returns   the entry ids whose lease is lost
  Emits     nothing
]]
local kept, lost = {}, {}
for i = 3, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  local ours = pending[1] and pending[1][2] == ARGV[2]
  table.insert(ours and kept or lost, ARGV[i])
end
if #kept > 0 then
  table.insert(kept, 'JUSTID')
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(kept))
end
return lost
