--[[
  Finish deliveries: acknowledge each and store everything it produced, or change nothing of it.
  The first to finish wins, whoever holds the lease: its result has been paid for.

  KEYS[1] counters (hash)       KEYS[5] recent objects (list)
  KEYS[2] open pairs (zset)     KEYS[6] recent questions (list)
  KEYS[3] ready list            KEYS[7..12] streams of the six steps
  KEYS[4] ready bodies (hash)   KEYS[11+2n], KEYS[12+2n] record and journal of the n-th delivery's pair
  ARGV[1] consumer group        ARGV[3] entries kept in a recent list
  ARGV[2] number of deliveries, at most 100
  ARGV[4] seconds for which the record and journal of a finished pair are kept
  then for each delivery: step (1 to 6), entry id, job id, pair id, what the job did,
  number of fields, then name and value of each;    number of next jobs, then step and entry of each;
  end ('', 'ready' or 'rejected'), body or reason;  number of things to remember, then list (5 or 6) and text;
  number of counters, then name and increment of each

  Returns   for each delivery  1  committed
                               2  the job had been committed before; the entry is gone
                               0  too late: the entry is not pending any more
  Emits     counters committed, ready, rejected and those given
]]
local group, count, recent_max, keep_secs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local at = 4
local function one()
  at = at + 1
  return ARGV[at]
end
-- `each` values for every item of a counted list.
local function many(each)
  local items = {}
  for i = 1, each * tonumber(one()) do items[i] = one() end
  return items
end

local raised = {}
local function raise(name, by) raised[name] = (raised[name] or 0) + by end

local function finish(record, journal, pair, ending, text)
  if ending == 'ready' then
    redis.call('RPUSH', KEYS[3], pair)
    redis.call('HSET', KEYS[4], pair, text)
  elseif ending == 'rejected' then
    redis.call('EXPIRE', record, keep_secs)
  end
  redis.call('EXPIRE', journal, keep_secs)
  redis.call('ZREM', KEYS[2], pair)
  raise(ending, 1)
end

local results = {}
for n = 1, count do
  local record, journal, stream = KEYS[11 + 2 * n], KEYS[12 + 2 * n], KEYS[6 + tonumber(one())]
  local entry, job, pair, did = one(), one(), one(), one()
  local fields, next_jobs, ending, text, remember, counters = many(2), many(2), one(), one(), many(2), many(2)

  -- First what may fail on a damaged record: an error here leaves the delivery untouched.
  local fresh = redis.call('HSETNX', record, 'done:' .. job, did)
  if redis.call('XACK', stream, group, entry) == 0 then
    if fresh == 1 then redis.call('HDEL', record, 'done:' .. job) end
    results[n] = fresh == 1 and 0 or 2
  else
    redis.call('XDEL', stream, entry)
    results[n] = fresh == 1 and 1 or 2
  end

  if results[n] == 1 then
    if ending ~= '' then
      table.insert(fields, 'state')
      table.insert(fields, ending)
    end
    if ending == 'rejected' then
      table.insert(fields, 'reason')
      table.insert(fields, text)
    end
    if #fields > 0 then redis.call('HSET', record, unpack(fields)) end
    for i = 1, #next_jobs, 2 do
      redis.call('XADD', KEYS[6 + tonumber(next_jobs[i])], '*', 'job', next_jobs[i + 1])
    end
    if ending ~= '' then finish(record, journal, pair, ending, text) end
    for i = 1, #remember, 2 do
      local list = KEYS[tonumber(remember[i])]
      redis.call('LPUSH', list, remember[i + 1])
      redis.call('LTRIM', list, 0, recent_max - 1)
    end
    for i = 1, #counters, 2 do raise(counters[i], tonumber(counters[i + 1])) end
    raise('committed', 1)
  end
end
for name, by in pairs(raised) do redis.call('HINCRBY', KEYS[1], name, by) end
return results
