-- Checks that the entries of a position are there, after a Read from it. Their ids are random in part and are never given
-- again: so they were there during that Read, and what it returned is all that follows them. After a loss (FLUSHALL, an
-- older dump, a replica that was behind and became the master) ids that are lower than the position may be given.
--
-- KEYS  as for append.lua
-- ARGV  the id that the reader has read up to in each of them; 0-0 is the beginning
-- returns 1, or 0 if an entry is gone

-- A replica may be behind, and so may a master that was demoted while we were connected to it.
if not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
  return redis.error_reply('READONLY a replica cannot say that it has everything')
end
for i = 1, 2 do
  if ARGV[i] ~= '0-0' and #redis.call('XRANGE', KEYS[i], ARGV[i], ARGV[i]) == 0 then return 0 end
end
return 1
