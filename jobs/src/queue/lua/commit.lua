--[[
  Finish deliveries: acknowledge each and store everything it produced, or change nothing at all.
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
local count = tonumber(ARGV[2])
local raised = {}

local function raise(name, by) raised[name] = (raised[name] or 0) + by end

-- Redis takes nothing back when a command fails. So what an effect will write is first read as what it must be,
-- which fails on anything else while nothing is changed yet.
local probed = {count = true}
local function probe(kind, a)
  local what = kind
  if kind == 'next' or kind == 'remember' then what = kind .. a end
  if probed[what] then return end
  probed[what] = true
  if kind == 'next' then
    call('XLEN', KEYS[9 + a])
  elseif kind == 'remember' then
    call('LLEN', KEYS[tonumber(a)])
  else
    for key, read in pairs({[2] = 'ZCARD', [3] = 'LLEN', [4] = 'HLEN', [7] = 'XLEN', [8] = 'ZCARD', [9] = 'ZCARD'}) do
      call(read, KEYS[key])
    end
  end
end

local function finish(record, journal, ending, pair, text)
  if ending == 'ready' then
    call('HSET', record, 'state', 'ready')
    call('RPUSH', KEYS[3], pair)
    call('HSET', KEYS[4], pair, text)
    raise('ready', 1)
  else
    reject(KEYS[9], raise, record, pair, text)
  end
  keep_journal(KEYS[8], raise, record, journal, pair)
  call('ZREM', KEYS[2], pair)
  call('XADD', KEYS[7], 'MAXLEN', '~', events_max, '*', 'event', ending, 'pair', pair)
end

local function apply(record, journal, kind, a, b)
  if kind == 'next' then
    call('XADD', KEYS[9 + a], '*', 'job', b)
  elseif kind == 'remember' then
    local list = KEYS[tonumber(a)]
    call('LPUSH', list, b)
    call('LTRIM', list, 0, recent_max - 1)
  elseif kind ~= 'count' then
    finish(record, journal, kind, a, b)
  end
end

-- One XACK and one XDEL for each stream cost less than one for each entry. Gives the entries that were gone: what
-- somebody else decided about is neither pending nor there any more.
local function acknowledge(stream, entries)
  local gone = {}
  if call('XACK', stream, group, unpack(entries)) < #entries then
    for _, entry in ipairs(entries) do gone[entry] = #call('XRANGE', stream, entry, entry) == 0 end
  end
  call('XDEL', stream, unpack(entries))
  return gone
end

call('HLEN', KEYS[1])

-- Of each delivery: where it begins, where its effects do, its journal if its pair ends, what is known of it.
local begins, effects, journal, known = {}, {}, {}, {}
local entries, at, ending = {}, 5, 21 + count
for n = 1, count do
  local lane, from = ARGV[at], at + 4
  begins[n], effects[n] = at, from + ARGV[at + 3]
  known[n] = call('HMGET', KEYS[21 + n], ARGV[from], 'state', 'bytes')
  if entries[lane] then table.insert(entries[lane], ARGV[at + 1]) else entries[lane] = {ARGV[at + 1]} end
  at = effects[n] + 1 + 3 * ARGV[effects[n]]
  for i = effects[n] + 1, at - 1, 3 do
    local kind = ARGV[i]
    probe(kind, ARGV[i + 1])
    if kind == 'ready' or kind == 'rejected' then
      ending = ending + 1
      journal[n] = KEYS[ending]
    end
  end
end

local gone = {}
for lane, of_lane in pairs(entries) do gone[lane] = acknowledge(KEYS[9 + lane], of_lane) end

local written = {}
local function commit(n)
  local at, record = begins[n], KEYS[21 + n]
  local from, lane, entry = at + 4, ARGV[at], ARGV[at + 1]
  -- Another job of the same pair may be in this batch, or the same entry twice.
  local found = known[n]
  if written[record] then found = call('HMGET', record, ARGV[from], 'state', 'bytes') end
  if found[1] then return 2 end
  if gone[lane][entry] then return 0 end
  gone[lane][entry] = true

  local open = found[2] == 'open'
  if open then
    written[record] = true
    local bytes = ARGV[at + 2]
    -- As text: Redis writes out the number that Lua hands it at three times the cost.
    local total = string.format('%d', (found[3] or 0) + bytes)
    call('HSET', record, 'bytes', total, unpack(ARGV, from, effects[n] - 1))
    raise('held_bytes', bytes)
    raise('committed', 1)
  end
  local to = effects[n] + 3 * ARGV[effects[n]]
  for i = effects[n] + 1, to, 3 do
    local kind, a, b = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if open then apply(record, journal[n], kind, a, b) end
    -- What a run on an ended pair paid was paid all the same.
    if kind == 'count' then raise(a, b) end
  end
  return open and 1 or 3
end

local results = {}
for n = 1, count do results[n] = commit(n) end
for name, by in pairs(raised) do call('HINCRBY', KEYS[1], name, by) end
return results
