--[[
  Finish deliveries: acknowledge each and store everything it produced, or change nothing of it.
  The first to finish wins, whoever holds the lease: its result has been paid for.

  KEYS[1] counters (hash)       KEYS[5] recent objects (list)      KEYS[8] journals of ended pairs (zset by ms)
  KEYS[2] open pairs (zset)     KEYS[6] recent questions (list)    KEYS[9] rejected pairs (zset by ms)
  KEYS[3] ready list            KEYS[7] events (stream)            KEYS[10..21] streams of the twelve lanes
  KEYS[4] ready bodies (hash)   KEYS[20+2n], KEYS[21+2n] record and journal of the n-th delivery's pair
  ARGV[1] consumer group        ARGV[3] entries kept in a recent list
  ARGV[2] number of deliveries, at most 100
  ARGV[4] events kept, about
  then for each delivery: lane (1 to 12), entry id, job id, pair id, what the job did,
  number of fields, then name and value of each;    number of next jobs, then lane and entry of each;
  end ('', 'ready' or 'rejected'), body or reason;  number of things to remember, then list (5 or 6) and text;
  number of counters, then name and increment of each

  Returns   for each delivery  1  committed
                               2  the job had been committed before; the entry is gone
                               3  the pair has ended meanwhile; the entry is gone, its counters are raised
                               0  too late: the entry is not pending any more
  Emits     counters committed, ready, rejected, those given and the bytes of held, rejected and journals;
            events ready, rejected
]]
local group, count, recent_max, events_max = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
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
    redis.call('HSET', record, 'state', 'ready')
    redis.call('RPUSH', KEYS[3], pair)
    redis.call('HSET', KEYS[4], pair, text)
    raise('ready', 1)
  else
    reject(KEYS[9], KEYS[1], record, pair, text)
  end
  keep_journal(KEYS[8], KEYS[1], record, journal, pair)
  redis.call('ZREM', KEYS[2], pair)
  redis.call('XADD', KEYS[7], 'MAXLEN', '~', events_max, '*', 'event', ending, 'pair', pair)
end

local results = {}
for n = 1, count do
  local record, journal, stream = KEYS[20 + 2 * n], KEYS[21 + 2 * n], KEYS[9 + tonumber(one())]
  local entry, job, pair, did = one(), one(), one(), one()
  local fields, next_jobs, ending, text, remember, counters = many(2), many(2), one(), one(), many(2), many(2)

  -- First what may fail on a damaged record: an error here leaves the delivery untouched.
  local known = redis.call('HMGET', record, 'done:' .. job, 'state', 'bytes')
  if redis.call('XACK', stream, group, entry) == 0 then
    results[n] = known[1] and 2 or 0
  else
    redis.call('XDEL', stream, entry)
    results[n] = known[1] and 2 or known[2] == 'open' and 1 or 3
  end

  if results[n] == 1 then
    local bytes = #did + #text
    for i = 1, #fields do bytes = bytes + #fields[i] end
    raise('held_bytes', bytes)
    bytes = bytes + tonumber(known[3] or 0)
    local stored = {'done:' .. job, did, 'bytes', bytes}
    for i = 1, #fields do stored[4 + i] = fields[i] end
    redis.call('HSET', record, unpack(stored))
    for i = 1, #next_jobs, 2 do
      redis.call('XADD', KEYS[9 + tonumber(next_jobs[i])], '*', 'job', next_jobs[i + 1])
    end
    if ending ~= '' then finish(record, journal, pair, ending, text) end
    for i = 1, #remember, 2 do
      local list = KEYS[tonumber(remember[i])]
      redis.call('LPUSH', list, remember[i + 1])
      redis.call('LTRIM', list, 0, recent_max - 1)
    end
    raise('committed', 1)
  end
  -- What a run on an ended pair paid was paid all the same.
  if results[n] == 1 or results[n] == 3 then
    for i = 1, #counters, 2 do raise(counters[i], tonumber(counters[i + 1])) end
  end
end
for name, by in pairs(raised) do redis.call('HINCRBY', KEYS[1], name, by) end
return results
