-- Lease what a client has read by itself: the entries of one stream that come next, as if a claim had read them.
--
-- A script that reads entries makes strings of all that they hold, and an answer of them again, which is most of what a
-- claim of many costs. The client reads them by XRANGE, and they are its own only when this lets it have them: none of
-- them when anything is not as it was when it claimed last, or not as plain as it was then.
--
-- Keys beside {ns}:state: topics, topic:<name>, free:<name>, lease, held, crashes; of other topics nothing is written.
-- ARGV[3] lease to write   ARGV[4] topic   ARGV[5] name of its normal band   ARGV[6] id behind which was read
-- ARGV[7] msgpack [entry, ...], all that lies there up to the last one
-- ARGV[8] for each other topic that is asked for: topic and the name of its normal band
-- Returns 1 when they are leased, else 0.
local lease, name, after = ARGV[3], ARGV[5], ARGV[6]
if redis.call('HGET', P .. 'topics', ARGV[4]) ~= '4' then return 0 end
if redis.call('EXISTS', P .. 'crashes', P .. 'free:' .. name) > 0 then return 0 end
local group = group_of(name)
if not group or group['last-delivered-id'] ~= after then return 0 end

local entries = cmsgpack.unpack(ARGV[7])
local _, last = split(entries[#entries])

-- Somebody may have deleted one of them meanwhile, or the server lost them: then what comes next may have earlier ids.
local deleted, newest
local told = redis.call('XINFO', 'STREAM', stream(name))
for i = 1, #told, 2 do
  if told[i] == 'max-deleted-entry-id' then deleted = told[i + 1] end
  if told[i] == 'last-generated-id' then newest = told[i + 1] end
end
if not deleted or pad(deleted) > pad(after) or pad(newest) < pad(last) then return 0 end

-- Topics share their bands, and in one band what is older goes first.
for i = 8, #ARGV, 2 do
  local mask, other = redis.call('HGET', P .. 'topics', ARGV[i]), ARGV[i + 1]
  if mask and mask ~= '4' or redis.call('EXISTS', P .. 'free:' .. other) > 0 then return 0 end
  local theirs = mask and group_of(other)
  if theirs then
    local head = redis.call('XRANGE', stream(other), '(' .. theirs['last-delivered-id'], '+', 'COUNT', 1)[1]
    if head and pad(head[1]) <= pad(last) then return 0 end
  elseif redis.call('EXISTS', stream(other)) > 0 then
    return 0 -- foreign producers began it, or it is no stream
  end
end

-- A group that was set back comes again to what somebody holds.
if tonumber(redis.call('HGET', P .. 'held', name) or '0') > 0 then
  for _, held in ipairs(values_of('HMGET', P .. 'lease', entries)) do
    if held then return 0 end
  end
end

local leases = {}
for i, entry in ipairs(entries) do leases[2 * i - 1], leases[2 * i] = entry, lease end
local read = tonumber(group['entries-read'])
if read then
  redis.call('XGROUP', 'SETID', stream(name), 'workers', last, 'ENTRIESREAD', read + #entries)
else
  redis.call('XGROUP', 'SETID', stream(name), 'workers', last)
end
bulk('HSET', P .. 'lease', leases)
redis.call('HINCRBY', P .. 'held', name, #entries)
return 1
