-- Reads what comes after a position, from both streams at one moment: ids come from one sequence, so nothing that is
-- added later belongs before what is returned here.
--
-- KEYS  as for append.lua
-- ARGV  the position, how many entries at most of each stream
-- false: the position is not one of this record, or no longer

-- A replica may be behind, and so may a master that was demoted while we were connected to it.
if not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
  return redis.error_reply('READONLY a replica cannot say that it has everything')
end

-- What comes after a position is all there only if its entry is: after a loss (FLUSHALL, an older dump, a replica that
-- was behind and became the master) ids that are lower than the position may be given once more.
local after = ARGV[1]
if after ~= '0-0' and #redis.call('XRANGE', KEYS[1], after, after) == 0
  and #redis.call('XRANGE', KEYS[2], after, after) == 0 then
  return false
end
return {
  redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', ARGV[2]),
  redis.call('XRANGE', KEYS[2], '(' .. after, '+', 'COUNT', ARGV[2]),
}
