-- Drop a chunk of what has outlived its lifetime.
--
-- Keys beside {ns}:state: expiry, marks, commits:at, commits, days, outcome:<day>, journal, beat.
-- ARGV[3] kind, then
--   marks, commits  ARGV[4] highest time to drop, ARGV[5] chunk
--   outcomes        ARGV[4] first day to keep, ARGV[5] chunk
--   journal         ARGV[4] first number to keep
--   open            ARGV[4] highest time to drop, ARGV[5] chunk
--   presences       ARGV[4] consumer, what was seen of it, ...
-- Returns how much went.
local kind = ARGV[3]

if kind == 'marks' or kind == 'commits' then
  local times, values = P .. 'expiry', P .. 'marks'
  if kind == 'commits' then times, values = P .. 'commits:at', P .. 'commits' end
  local names = redis.call('ZRANGEBYSCORE', times, '-inf', ARGV[4], 'LIMIT', 0, ARGV[5])
  bulk('HDEL', values, names)
  bulk('ZREM', times, names)
  return #names
end

if kind == 'outcomes' then
  local gone = 0
  for _, day in ipairs(redis.call('SMEMBERS', P .. 'days')) do
    if tonumber(day) < tonumber(ARGV[4]) and gone < tonumber(ARGV[5]) then
      gone = gone + #redis.call('SPOP', P .. 'outcome:' .. day, ARGV[5] - gone)
      if redis.call('EXISTS', P .. 'outcome:' .. day) == 0 then redis.call('SREM', P .. 'days', day) end
    end
  end
  return gone
end

if kind == 'open' then
  local members = redis.call('ZRANGEBYSCORE', P .. 'open:at', '-inf', ARGV[4], 'LIMIT', 0, ARGV[5])
  shut(members)
  bulk('ZREM', P .. 'open:at', members) -- also those whose other half somebody deleted
  return #members
end

if kind == 'journal' then
  redis.call('HSET', STATE, 'first', ARGV[4])
  return redis.call('XTRIM', P .. 'journal', 'MINID', '=', ARGV[4] .. '-0')
end

local gone = 0
for i = 4, #ARGV, 2 do
  if redis.call('HGET', P .. 'beat', ARGV[i]) == ARGV[i + 1] then
    gone = gone + redis.call('HDEL', P .. 'beat', ARGV[i])
  end
end
return gone
