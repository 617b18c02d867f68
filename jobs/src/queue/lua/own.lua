--[[
  Read what is already pending for this consumer, without counting a delivery: replies that were lost on the
  way, and what a restarted Redis brought back.

  KEYS[1] stream of the lane
  ARGV[1] consumer group     ARGV[3] ( and the last entry id that was seen
  ARGV[2] consumer name      ARGV[4] how many at most, at most 500

  Returns   {last entry id that was looked at, or '' when there was none, list of {entry id, deliveries so far, fields}}
  Emits     nothing
]]
local found, last = {}, ''
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], '+', tonumber(ARGV[4]), ARGV[2])
for _, p in ipairs(pending) do
  last = p[1]
  local entry = redis.call('XRANGE', KEYS[1], last, last)
  if entry[1] then
    table.insert(found, {last, p[4], entry[1][2]})
  else
    -- Somebody deleted the entry itself: nothing is left to run.
    redis.call('XACK', KEYS[1], ARGV[1], last)
  end
end
return {last, found}
