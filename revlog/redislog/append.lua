-- Adds entries, all or none: whatever can fail does so before the first write.
--
-- KEYS  the stream of what is over soon, the stream of what is kept apart
-- ARGV  the writer's clock in ms, the retention in ms, a random number, and for each entry
--       when it is over in ms ('' for never) and its document

-- newest returns the two halves of the last id that a stream gave.
local function newest(key)
  if redis.call('EXISTS', key) == 0 then return 0, 0 end
  local info = redis.call('XINFO', 'STREAM', key) -- an error if it is no stream
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
local exact = 2 ^ 52 -- up to twice that, Lua counts exactly

-- Both streams take their ids from one sequence, so that one id is a position in both. The second half is random: two
-- servers that were the master at different times never give one id to two entries, and whoever finds the entry of a
-- position knows that what came before it is what was read.
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

-- A clock that jumps ahead must not make entries look over: of the two, the one that is behind counts.
now = math.min(now, tonumber(ARGV[1]))

for i = 4, #ARGV, 2 do
  local over, key = tonumber(ARGV[i]), KEYS[2]
  if over and over <= now + retention then key = KEYS[1] end
  redis.call('XADD', key, id(ms, seq), 'over', ARGV[i], 'rev', ARGV[i + 1])
  seq = seq + 1
end

-- trim drops entries that are over from the head of a stream: more than were added, but a bounded number. It looks at
-- each, and stops at the first that can still match, whatever retention it was written with. The last that it looks at
-- stays, and so does what was the newest of the stream: the position of readers that have everything is there.
local function trim(i)
  local key, keep = KEYS[i], nil
  for _, entry in ipairs(redis.call('XRANGE', key, '-', '+', 'COUNT', #ARGV + 16)) do
    keep = entry[1]
    local over = entry[2][1] == 'over' and string.match(entry[2][2], '^%d+$')
    if keep == tips[i] or not over or tonumber(over) >= now then break end
  end
  if keep then redis.call('XTRIM', key, 'MINID', '=', keep) end
end
trim(1)
trim(2)
return 'OK'
