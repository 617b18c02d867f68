--[[
  Move jobs whose time has come into their streams.

  KEYS[1] delayed jobs (zset by due ms)   KEYS[2..13] streams of the twelve lanes
                                          KEYS[14..19] delayed entries of the six steps (hashes)
  ARGV[1] how many at most, at most 500

  Returns   {moved, ms until the next one is due or -1 when nothing waits}
  Emits     nothing
]]
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #first == 0 then return {0, -1} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(first[2]) > now then return {0, tonumber(first[2]) - now} end

local members = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[1]))
for _, member in ipairs(members) do
  -- A member that somebody else wrote is dropped; it must not stop the rest.
  local lane = tonumber(string.match(member, '^(%d%d?):'))
  local stream = lane and lane >= 1 and lane <= 12 and KEYS[1 + lane]
  local entries = stream and KEYS[14 + (lane - 1) % 6]
  local entry = stream and redis.call('HGET', entries, member)
  if entry then
    redis.call('XADD', stream, '*', 'job', entry)
    redis.call('HDEL', entries, member)
  end
  redis.call('ZREM', KEYS[1], member)
end
return {#members, 0}
