--[[
  Note that a claimed job runs in a process of its own: the end of its worker is none of its doing; see reclaim.lua.
  Only its owner may say so.

  KEYS[1] stream of the lane
  ARGV[1] consumer group   ARGV[2] consumer name   ARGV[3] stream entry id

  Returns   1  noted
            0  lease lost: the entry is not pending for this consumer
  Emits     nothing
]]
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #pending == 0 or pending[1][2] ~= ARGV[2] then return 0 end

local count = pending[1][4] - pending[1][4] % 2
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'RETRYCOUNT', count, 'JUSTID')
return 1
