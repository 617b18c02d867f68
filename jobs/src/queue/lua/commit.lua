--[[
  Finish deliveries: acknowledge each and store everything it produced, or change nothing at all.
  The first to finish wins, whoever holds the lease: its result has been paid for.

  KEYS[1] counters (hash)       KEYS[5] recent objects (list)      KEYS[8] journals of ended pairs (zset by ms)
  KEYS[2] open pairs (zset)     KEYS[6] recent questions (list)    KEYS[9] rejected pairs (zset by ms)
  KEYS[3] ready list            KEYS[7] events (stream)            KEYS[10..21] streams of the twelve lanes
  KEYS[4] ready bodies (hash)   KEYS[21+n] record of the n-th delivery's pair
  then the journals of the pairs that end, in the order of their deliveries
  ARGV[1] consumer group           ARGV[3] events kept, about
  ARGV[2] entries kept in a recent list
  ARGV[4] the shapes of the deliveries, at most 100, each of nine bytes, the lowest first: lane (1 to 12, one byte),
          bytes that it adds to what is held (four), names and values of its fields together (two), effects (two)
  then for each delivery: entry id; names and values of the fields, the mark of the job first, and the state `ready`
  where the pair gets ready; of each effect its kind and two values:
    next      lane and entry of a job that follows     ready     pair id and body
    remember  list (5 or 6) and text                   rejected  pair id and reason
    count     name of a counter and increment

  Returns   for each delivery  1  committed
                               2  the job had been committed before; the entry is gone
                               3  the pair has ended meanwhile; the entry is gone, its counters are raised
                               0  too late: the entry is neither pending nor in its stream any more
  Emits     counters committed, ready, rejected, those given and the bytes of held, rejected and journals;
            events ready, rejected
]]
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local group, recent_max, events_max, shapes = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local count = #shapes / 9
local raised = {}

local function raise(name, by) raised[name] = (raised[name] or 0) + by end

local function probe(kind, a)
  if kind == 'next' then
    look('XLEN', KEYS[9 + a])
  elseif kind == 'remember' then
    for key = 5, 6 do look('LLEN', KEYS[key]) end
  else
    local reads = {[2] = 'ZCARD', [3] = 'LLEN', [4] = 'HLEN', [7] = 'XLEN', [8] = 'ZCARD', [9] = 'ZCARD'}
    for key, read in pairs(reads) do look(read, KEYS[key]) end
  end
end

-- Pairs that end, pairs that are ready, and these with their bodies: one command for all of each costs less.
local ended, ready, bodies = {}, {}, {}

local function finish(record, journal, ending, pair, text)
  if ending == 'ready' then
    table.insert(ready, pair)
    table.insert(bodies, pair)
    table.insert(bodies, text)
    raise('ready', 1)
  else
    reject(KEYS[9], raise, record, pair, text)
  end
  keep_journal(KEYS[8], raise, record, journal, pair)
  table.insert(ended, pair)
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
-- somebody else decided about is neither pending nor in its stream any more.
local function acknowledge(stream, entries)
  local gone = {}
  if call('XACK', stream, group, unpack(entries)) < #entries then
    for _, entry in ipairs(entries) do gone[entry] = #call('XRANGE', stream, entry, entry) == 0 end
  end
  call('XDEL', stream, unpack(entries))
  return gone
end

-- The counters are raised last, and those who come after must not pay for them.
look('HLEN', KEYS[1])
-- Of each delivery: its lane, the bytes that it adds, where in ARGV it begins and where its effects do, what its
-- record says, and its journal if its pair ends.
local lanes, adds, begins, effects, known, journal = {}, {}, {}, {}, {}, {}
local entries, probed, at, ending = {}, {count = true}, 5, 21 + count
for n = 1, count do
  local lane, bytes, strings, after = struct.unpack('<BIHH', shapes, 9 * n - 8)
  lanes[n], adds[n], begins[n], effects[n] = lane, bytes, at, at + 1 + strings
  known[n] = look('HMGET', KEYS[21 + n], ARGV[at + 1], 'state', 'bytes')
  if not tonumber(known[n][3] or 0) then error('the field bytes of ' .. KEYS[21 + n] .. ' is no number') end
  if not entries[lane] then
    look('XLEN', KEYS[9 + lane])
    entries[lane] = {}
  end
  table.insert(entries[lane], ARGV[at])
  at = effects[n] + 3 * after
  for i = effects[n], at - 1, 3 do
    local kind, a = ARGV[i], ARGV[i + 1]
    local target = kind == 'next' and a or kind
    if not probed[target] then
      probe(kind, a)
      probed[target] = true
    end
    if kind == 'ready' or kind == 'rejected' then
      ending = ending + 1
      journal[n] = KEYS[ending]
    end
  end
end
begins[count + 1] = at

local gone = {}
for lane, of_lane in pairs(entries) do gone[lane] = acknowledge(KEYS[9 + lane], of_lane) end

local met = {}
local function commit(n)
  local record, from, gone_in_lane, entry = KEYS[21 + n], begins[n] + 1, gone[lanes[n]], ARGV[begins[n]]
  local found, late = known[n], gone_in_lane[entry]
  -- Another job of the pair has come before in this batch; if it was this very entry, this one is late.
  if met[record] then found = call('HMGET', record, ARGV[from], 'state', 'bytes') end
  met[record], gone_in_lane[entry] = true, true
  if found[1] then return 2 end
  if late then return 0 end

  local open = found[2] == 'open'
  if open then
    -- As text: Redis writes out the number that Lua hands it at three times the cost.
    local total = string.format('%d', (found[3] or 0) + adds[n])
    call('HSET', record, 'bytes', total, unpack(ARGV, from, effects[n] - 1))
    raise('held_bytes', adds[n])
    raise('committed', 1)
  end
  for i = effects[n], begins[n + 1] - 1, 3 do
    local kind, a, b = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if open then apply(record, journal[n], kind, a, b) end
    -- What a run on an ended pair paid was paid all the same.
    if kind == 'count' then raise(a, b) end
  end
  return open and 1 or 3
end

local results = {}
for n = 1, count do results[n] = commit(n) end
if #ready > 0 then
  call('RPUSH', KEYS[3], unpack(ready))
  call('HSET', KEYS[4], unpack(bodies))
end
if #ended > 0 then call('ZREM', KEYS[2], unpack(ended)) end
for name, by in pairs(raised) do call('HINCRBY', KEYS[1], name, by) end
return results
