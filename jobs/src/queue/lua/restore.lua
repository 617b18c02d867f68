--[[
  Put a job back that its pair still waits for and that is nowhere. Should it turn up again all the same, the
  second commit is refused.

  KEYS[1] record of the pair (hash)   KEYS[3] counters (hash)
  KEYS[2] stream of the lane          KEYS[4] events (stream)
  ARGV[1] job id   ARGV[2] entry   ARGV[3] events kept, about

  Returns   1  put back
            0  not needed: it is done, or its pair is not open
  Emits     counter and event restored
]]
local known = redis.call('HMGET', KEYS[1], 'state', 'done:' .. ARGV[1])
if known[1] ~= 'open' or known[2] then return 0 end
redis.call('XADD', KEYS[2], '*', 'job', ARGV[2])
redis.call('HINCRBY', KEYS[3], 'restored', 1)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[3], '*', 'event', 'restored', 'job', ARGV[1])
return 1
