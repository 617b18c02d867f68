--[[
  Say how the keys of the queue are laid out; the first to ask decides.

  KEYS[1] layout (hash)
  ARGV[1] version of the layout   ARGV[2] number of shards

  Returns   {version, shards} as they are stored
  Emits     nothing
]]
redis.call('HSETNX', KEYS[1], 'version', ARGV[1])
redis.call('HSETNX', KEYS[1], 'shards', ARGV[2])
return redis.call('HMGET', KEYS[1], 'version', 'shards')
