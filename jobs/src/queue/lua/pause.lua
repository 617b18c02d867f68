--[[
  Pause a step or a responder until somebody resumes it or the time is over.

  KEYS[1] the pause (string that may expire)   KEYS[2] events (stream)
  ARGV[1] step, or responder: and its name     ARGV[3] milliseconds, 0 until it is resumed
  ARGV[2] reason, for people                   ARGV[4] 1 to leave alone a pause that is in force, else 0
  ARGV[5] events kept, about

  Returns   1  paused
            0  it was paused already, and that pause was to be left alone
  Emits     event paused
]]
if ARGV[4] == '1' and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], string.format('%.0f %s', now, ARGV[2]))
if ARGV[3] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'event', 'paused', 'target', ARGV[1], 'reason', ARGV[2])
return 1
