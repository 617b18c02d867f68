--[[
  Forget what ended pairs have left: their journals only, or their records too. What they took up is subtracted.

  KEYS[1] pairs of the class by the ms of their end (zset)   KEYS[3] journals of ended pairs (zset by ms)
  KEYS[2] counters (hash)
  KEYS[2+2n], KEYS[3+2n] record and journal of the n-th pair
  ARGV[1] counter of the class's bytes: finished_bytes, rejected_bytes, or '' for the journals alone
  ARGV[2..] pair ids, at most 500

  Returns   how many were forgotten
  Emits     counters journals_bytes and that of the class
]]
local forgotten = 0
for n = 1, #ARGV - 1 do
  local pair, record, journal = ARGV[1 + n], KEYS[2 + 2 * n], KEYS[3 + 2 * n]
  if redis.call('ZREM', KEYS[1], pair) == 1 then
    local sizes = redis.call('HMGET', record, 'bytes', 'journal_bytes')
    redis.call('UNLINK', journal)
    redis.call('ZREM', KEYS[3], pair)
    redis.call('HINCRBY', KEYS[2], 'journals_bytes', 0 - tonumber(sizes[2] or 0))
    if ARGV[1] == '' then
      redis.call('HDEL', record, 'journal_bytes')
    else
      redis.call('UNLINK', record)
      redis.call('HINCRBY', KEYS[2], ARGV[1], 0 - tonumber(sizes[1] or 0))
    end
    forgotten = forgotten + 1
  end
end
return forgotten
