--[[
  Take a delivery out of its stream and run its job again later. Only its owner may say so.

  KEYS[1] stream of the lane              KEYS[3] delayed entries of the step (hash)
  KEYS[2] delayed jobs (zset by due ms)   KEYS[4] counters (hash)   KEYS[5] events (stream)
  ARGV[1] consumer group                  ARGV[5] entry to add when it is due
  ARGV[2] consumer name                   ARGV[6] delay in milliseconds
  ARGV[3] stream entry id                 ARGV[7] counter to raise: retried, waited or crashed
  ARGV[4] member: lane (1 to 12), a colon, job id
  ARGV[8] events kept, about              ARGV[9] job id

  Returns   1  delayed
            0  lease lost: the entry is not pending for this consumer
  Emits     counter and event retried, waited or crashed
]]
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #pending == 0 or pending[1][2] ~= ARGV[2] then return 0 end

local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[6])
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
redis.call('ZADD', KEYS[2], due, ARGV[4])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
redis.call('HINCRBY', KEYS[4], ARGV[7], 1)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[8], '*', 'event', ARGV[7], 'job', ARGV[9])
return 1
