--[[
  Finish deliveries: acknowledge each and store everything it produced, or change nothing of it.
  The first to finish wins, whoever holds the lease: its result has been paid for.

  KEYS[1] counters (hash)       KEYS[5] recent objects (list)      KEYS[8] journals of ended pairs (zset by ms)
  KEYS[2] open pairs (zset)     KEYS[6] recent questions (list)    KEYS[9] rejected pairs (zset by ms)
  KEYS[3] ready list            KEYS[7] events (stream)            KEYS[10..21] streams of the twelve lanes
  KEYS[4] ready bodies (hash)   KEYS[21+n] record of the n-th delivery's pair
  then the journals of the pairs that end, in the order of their deliveries
  ARGV[1] consumer group        ARGV[3] entries kept in a recent list
  ARGV[2] number of deliveries, at most 100
  ARGV[4] events kept, about
  then for each delivery: lane (1 to 12), entry id, bytes that it adds to what is held,
  number of names and values together; of these first the mark of the job with what it did, then its fields;
  number of effects, and of each its kind and two values:
    next      lane and entry of a job that follows     ready     pair id and body
    remember  list (5 or 6) and text                   rejected  pair id and reason
    count     name of a counter and increment

  Returns   for each delivery  1  committed
                               2  the job had been committed before; the entry is gone
                               3  the pair has ended meanwhile; the entry is gone, its counters are raised
                               0  too late: the entry is not pending any more
  Emits     counters committed, ready, rejected, those given and the bytes of held, rejected and journals;
            events ready, rejected
]]
local call = redis.call
local group, recent_max, events_max = ARGV[1], ARGV[3], ARGV[4]
local journals = 21 + tonumber(ARGV[2])
local results, acknowledged, raised = {}, {}, {}

local function raise(name, by) raised[name] = (raised[name] or 0) + by end

local function finish(record, ending, pair, text)
  if ending == 'ready' then
    call('HSET', record, 'state', 'ready')
    call('RPUSH', KEYS[3], pair)
    call('HSET', KEYS[4], pair, text)
    raise('ready', 1)
  else
    reject(KEYS[9], KEYS[1], record, pair, text)
  end
  keep_journal(KEYS[8], KEYS[1], record, KEYS[journals], pair)
  call('ZREM', KEYS[2], pair)
  call('XADD', KEYS[7], 'MAXLEN', '~', events_max, '*', 'event', ending, 'pair', pair)
end

local function apply(record, kind, a, b)
  if kind == 'next' then
    call('XADD', KEYS[9 + a], '*', 'job', b)
  elseif kind == 'remember' then
    local list = KEYS[tonumber(a)]
    call('LPUSH', list, b)
    call('LTRIM', list, 0, recent_max - 1)
  elseif kind ~= 'count' then
    finish(record, kind, a, b)
  end
end

local function acknowledge(stream, entry)
  if call('XACK', stream, group, entry) == 0 then return false end
  local entries = acknowledged[stream]
  if entries then table.insert(entries, entry) else acknowledged[stream] = {entry} end
  return true
end

local function commit(record, stream, entry, bytes, from, effects, to)
  -- First what may fail on a damaged record: an error here leaves the delivery untouched.
  local known = call('HMGET', record, ARGV[from], 'state', 'bytes')
  if not acknowledge(stream, entry) then return known[1] and 2 or 0 end
  if known[1] then return 2 end
  local open = known[2] == 'open'
  if open then
    -- As text: Redis writes out the number that Lua hands it at three times the cost.
    local total = string.format('%d', (known[3] or 0) + bytes)
    call('HSET', record, 'bytes', total, unpack(ARGV, from, effects - 1))
    raise('held_bytes', bytes)
    raise('committed', 1)
  end
  for i = effects + 1, to, 3 do
    local kind, a, b = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if kind == 'ready' or kind == 'rejected' then journals = journals + 1 end
    if open then apply(record, kind, a, b) end
    -- What a run on an ended pair paid was paid all the same.
    if kind == 'count' then raise(a, b) end
  end
  return open and 1 or 3
end

local function commit_all()
  local at = 5
  for n = 1, tonumber(ARGV[2]) do
    local from = at + 4
    local effects = from + ARGV[at + 3]
    local to = effects + 3 * ARGV[effects]
    results[n] = commit(KEYS[21 + n], KEYS[9 + ARGV[at]], ARGV[at + 1], ARGV[at + 2], from, effects, to)
    at = to + 1
  end
end

-- One XDEL for each stream costs less than one for each entry. It must come even when a later delivery fails.
local whole, failure = pcall(commit_all)
for stream, entries in pairs(acknowledged) do call('XDEL', stream, unpack(entries)) end
for name, by in pairs(raised) do call('HINCRBY', KEYS[1], name, by) end
if not whole then error(failure, 0) end
return results
