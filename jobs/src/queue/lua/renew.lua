--[[
  Renew the leases of entries that are still this consumer's and whose pairs are still open. A plain XCLAIM
  would steal back the others.

  KEYS[1] open pairs (zset)   KEYS[2..13] streams of the twelve lanes
  ARGV[1] consumer group      ARGV[2] consumer name
  then for each entry, at most 500: lane (1 to 12), entry id, pair id

  Returns   the places, from 1, of the entries whose lease is lost
  Emits     nothing
]]
local kept, lost = {}, {}
for i = 3, #ARGV, 3 do
  local lane, entry = tonumber(ARGV[i]), ARGV[i + 1]
  -- A lane without its group, as after a FLUSHALL, leaves nobody a lease.
  local pending = redis.pcall('XPENDING', KEYS[1 + lane], ARGV[1], entry, entry, 1)
  local ours = not pending.err and pending[1] and pending[1][2] == ARGV[2]
  if ours and redis.call('ZSCORE', KEYS[1], ARGV[i + 2]) then
    kept[lane] = kept[lane] or {}
    table.insert(kept[lane], entry)
  else
    table.insert(lost, i / 3)
  end
end
for lane, entries in pairs(kept) do
  table.insert(entries, 'JUSTID')
  redis.call('XCLAIM', KEYS[1 + lane], ARGV[1], ARGV[2], 0, unpack(entries))
end
return lost
