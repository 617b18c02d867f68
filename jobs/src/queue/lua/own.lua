--[[
  Read what is already pending for this consumer, without counting a delivery: replies that were lost on the
  way, and what a restarted Redis brought back.

  KEYS[1] stream of the step
  ARGV[1] consumer group     ARGV[3] ( and the last entry id that was seen
  ARGV[2] consumer name      ARGV[4] how many at most, at most 500

  Returns   list of {entry id, deliveries so far, fields}
  Emits     nothing
]]
local found = {}
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], '+', tonumber(ARGV[4]), ARGV[2])
for _, p in ipairs(pending) do
  local entry = redis.call('XRANGE', KEYS[1], p[1], p[1])
  if entry[1] then
    table.insert(found, {p[1], p[4], entry[1][2]})
  else
    -- Somebody deleted the entry itself: nothing is left to run.
    redis.call('XACK', KEYS[1], ARGV[1], p[1])
  end
end
return found
