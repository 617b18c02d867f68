--[[
  Put a paid reply into the journal of its pair. The first one under a key stays, so repeating is safe.

  KEYS[1] record of the pair (hash)    KEYS[2] journal of the pair (hash)
  ARGV[1] key of the reply             ARGV[2] reply

  Returns   1  stored
            0  another one was first
           -1  the pair has ended or is not known: nobody will ask for it, and nothing would ever free it
]]
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return -1 end
return redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
