--[[
  Move jobs whose time has come into their streams.

  KEYS[1] delayed jobs (zset by due ms)   KEYS[2..7] streams of the six steps
                                          KEYS[8..13] delayed entries of the six steps (hashes)
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
  local step = tonumber(string.match(member, '^([1-6]):'))
  local entry = step and redis.call('HGET', KEYS[7 + step], member)
  if entry then
    redis.call('XADD', KEYS[1 + step], '*', 'job', entry)
    redis.call('HDEL', KEYS[7 + step], member)
  end
  redis.call('ZREM', KEYS[1], member)
end
return {#members, 0}
