--[[
  Take over entries of a step whose leases have lapsed, those of high priority first.

  The delivery count of a pending entry says who is to blame when its worker ends. Odd: the job ran in that worker,
  as a fresh claim does from the first. Even: it did not, or not yet; it runs, or will, in a process of its own. A
  takeover adds 1 to an odd count and 1000 to an even one, so that of the last three digits the half is how often the
  job's own worker ended, and what stands before them how often a worker was lost beside which it ran.

  KEYS[1] stream of the lane of high priority   KEYS[2] stream of the other lane   KEYS[3] counters (hash)
  ARGV[1] consumer group   ARGV[3] lease in milliseconds
  ARGV[2] consumer name    ARGV[4] how many at most, at most 500

  Returns   {list of {entry id, delivery count, fields} of KEYS[1], list of the same of KEYS[2]}
  Emits     counter reclaimed
]]
local left, taken = tonumber(ARGV[4]), 0
local function reclaim(stream)
  local found = {}
  if left == 0 then return found end
  for _, p in ipairs(redis.call('XPENDING', stream, ARGV[1], 'IDLE', ARGV[3], '-', '+', left)) do
    local count = p[4] + (p[4] % 2 == 1 and 1 or 1000)
    local entry = redis.call('XCLAIM', stream, ARGV[1], ARGV[2], ARGV[3], p[1], 'RETRYCOUNT', count)[1]
    if entry and entry[2] then
      table.insert(found, {p[1], count, entry[2]})
      left, taken = left - 1, taken + 1
    else
      -- Somebody deleted the entry itself: nothing is left to run.
      redis.call('XACK', stream, ARGV[1], p[1])
    end
  end
  return found
end
local found = {reclaim(KEYS[1]), reclaim(KEYS[2])}
if taken > 0 then redis.call('HINCRBY', KEYS[3], 'reclaimed', taken) end
return found
