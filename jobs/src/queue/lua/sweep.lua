--[[
  Forget consumers of a step that are gone and own nothing. To delete one that owns something would lose that.

  KEYS[1] stream of the lane
  ARGV[1] consumer group   ARGV[2] milliseconds after which a silent consumer is gone   ARGV[3] how many at most

  Returns   how many were forgotten
  Emits     nothing
]]
local swept = 0
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
  if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) and swept < tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    swept = swept + 1
  end
end
return swept
