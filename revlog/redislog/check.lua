-- Checks, after a Read from a position, that the entries of this position are there. Their ids are partly random and are
-- never given again: the entries were therefore there during that Read, and it returned all entries after them. After a
-- loss (FLUSHALL, an older dump, a replica that was behind and became the master) new ids may be below the position.
--
-- KEYS  as in append.lua
-- ARGV  the id up to which the reader has read each stream; 0-0 is the beginning
-- returns 1, or 0 if an entry is missing

-- A replica may be behind, and so may a master that was demoted while the client was connected to it.
if not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
  return redis.error_reply('READONLY a replica may lack entries')
end
for i = 1, 2 do
  if ARGV[i] ~= '0-0' and #redis.call('XRANGE', KEYS[i], ARGV[i], ARGV[i]) == 0 then return 0 end
end
return 1
