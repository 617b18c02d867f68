--[[
  Say how the keys of the queue are laid out; the first to ask decides. A newer release raises the version, so
  that an older one that starts from then on is refused: it could not read what the newer one writes.

  KEYS[1] layout (hash)
  ARGV[1] version of the layout   ARGV[2] number of shards

  Returns   {version, shards} as they were stored
  Emits     nothing
]]
redis.call('HSETNX', KEYS[1], 'version', ARGV[1])
redis.call('HSETNX', KEYS[1], 'shards', ARGV[2])
local stored = redis.call('HMGET', KEYS[1], 'version', 'shards')
if tonumber(stored[1]) < tonumber(ARGV[1]) and stored[2] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'version', ARGV[1])
end
return stored
