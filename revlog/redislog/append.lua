-- Adds entries, all or none: every command that can fail runs before the first write.
--
-- KEYS  the first stream, the second stream (entries that expire late)
-- ARGV  the writer's clock in ms, the retention in ms, a random number, and for each entry
--       the time in ms from which it can no longer match ('' if it never expires) and its document

-- newest returns the two halves of the last id of a stream.
local function newest(key)
  if redis.call('EXISTS', key) == 0 then return 0, 0 end
  local info = redis.call('XINFO', 'STREAM', key) -- an error if the key is not a stream
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      local ms, seq = string.match(info[i + 1], '^(%d+)-(%d+)$')
      return tonumber(ms), tonumber(seq)
    end
  end
  error('no last-generated-id')
end

local function id(ms, seq) return string.format('%.0f-%.0f', ms, seq) end

local now = redis.call('TIME')
now = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local retention, random = tonumber(ARGV[2]), tonumber(ARGV[3])
local exact = 2 ^ 52 -- numbers up to twice that are exact in Lua

-- Both streams take their ids from one sequence, so that one id is a position in both. The second half is random:
-- two servers that were the master at different times never give one id to two entries. A reader that finds the entry
-- of its position therefore knows that the entries before it are those that it has read.
local ms, seq = newest(KEYS[1])
local ms2, seq2 = newest(KEYS[2])
local tips = {id(ms, seq), id(ms2, seq2)}
if ms2 > ms or ms2 == ms and seq2 > seq then ms, seq = ms2, seq2 end
if now > ms then
  ms, seq = now, random
else -- the clock went back, or two scripts ran in one millisecond
  seq = seq + 1 + random
end
if seq + #ARGV >= exact then ms, seq = ms + 1, random end
if ms >= exact then return redis.error_reply('ERR the ids of the stream are used up') end

-- A clock that jumps ahead must not make entries expire: of the two clocks, the one that is behind decides.
now = math.min(now, tonumber(ARGV[1]))

for i = 4, #ARGV, 2 do
  local expires, key = tonumber(ARGV[i]), KEYS[2]
  if expires and expires <= now + retention then key = KEYS[1] end
  redis.call('XADD', key, id(ms, seq), 'over', ARGV[i], 'rev', ARGV[i + 1])
  seq = seq + 1
end

-- trim deletes expired entries from the head of a stream: more than were added, but a bounded number. It checks them in
-- order and stops at the first that can still match, whatever retention it was written with. The last one that it
-- checks stays, and so does the entry that was the newest of the stream: it is the position of readers that have all.
local function trim(i)
  local key, keep = KEYS[i], nil
  for _, entry in ipairs(redis.call('XRANGE', key, '-', '+', 'COUNT', #ARGV + 16)) do
    keep = entry[1]
    local expires = entry[2][1] == 'over' and string.match(entry[2][2], '^%d+$')
    if keep == tips[i] or not expires or tonumber(expires) >= now then break end
  end
  if keep then redis.call('XTRIM', key, 'MINID', '=', keep) end
end
trim(1)
trim(2)
return 'OK'
