--[[
  Make a delivery a dead letter. Only its owner may say so.

  KEYS[1] stream of the lane                 KEYS[3] dead letters (hash by job)
  KEYS[2] dead jobs (zset by ms of death)    KEYS[4] counters (hash)   KEYS[5] events (stream)
  ARGV[1] consumer group                     ARGV[4] job id, or stream and entry where it has none
  ARGV[2] consumer name                      ARGV[5] letter (JSON)
  ARGV[3] stream entry id                    ARGV[6] counter to raise: buried or set_aside
  ARGV[7] events kept, about

  Returns   1  buried
            0  lease lost: the entry is not pending for this consumer
  Emits     counter and event buried or set_aside
]]
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #pending == 0 or pending[1][2] ~= ARGV[2] then return 0 end

local time = redis.call('TIME')
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[4])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
redis.call('HINCRBY', KEYS[4], ARGV[6], 1)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[7], '*', 'event', ARGV[6], 'job', ARGV[4])
return 1
