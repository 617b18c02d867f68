--[[
  Let a paused step or responder go on.

  KEYS[1] the pause (string that may expire)   KEYS[2] events (stream)
  ARGV[1] step, or responder: and its name     ARGV[2] events kept, about

  Returns   1  it goes on
            0  it was not paused
  Emits     event resumed
]]
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'event', 'resumed', 'target', ARGV[1])
return 1
