--[[
  No move by itself: put in front of the scripts that end pairs.

  Returns   nothing
]]

-- Now, in milliseconds since the Unix epoch.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Raises counters of this hash as it is told to.
local function raises(counters)
  return function(name, by) redis.call('HINCRBY', counters, name, by) end
end

-- From now on the journal of an ended pair is kept only for as long as its class is.
local function keep_journal(journals, raise, record, journal, pair)
  local bytes = redis.call('MEMORY', 'USAGE', journal, 'SAMPLES', 0)
  if not bytes then return end
  redis.call('ZADD', journals, now_ms(), pair)
  redis.call('HSET', record, 'journal_bytes', bytes)
  raise('journals_bytes', bytes)
end

-- A pair is over and will not be handed out: its place is free.
local function reject(rejected, raise, record, pair, reason)
  local bytes = tonumber(redis.call('HGET', record, 'bytes') or 0)
  redis.call('HSET', record, 'state', 'rejected', 'reason', reason)
  redis.call('ZADD', rejected, now_ms(), pair)
  raise('held_bytes', 0 - bytes)
  raise('rejected_bytes', bytes)
  raise('rejected', 1)
end
