-- Take messages off the bus that nobody holds, and tell of each.
--
-- Keys beside {ns}:state: lease, free:<name>, topic:<name>, crashes, later, delayed, later:count, journal, commits,
-- open, open:at, open:count.
-- ARGV[3] commit, ARGV[4] by, ARGV[5] now; ARGV[6] entry or `<member>/later`, topic, its fact as JSON, under what it
-- may hold a group open, ...
-- Returns how many went.
local id, by, now = ARGV[3], ARGV[4], ARGV[5]
local known = redis.call('HGET', P .. 'commits', id)
if known then return tonumber(known) end

local facts, entries, members, handed, shuts = {}, {}, {}, {}, {}

local function newer(a, b) return pad(a) > pad(b) end

for i = 6, #ARGV, 4 do
  local entry, topic, fact = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local member = string.match(entry, '^(.*)/later$')
  if member and redis.call('HEXISTS', P .. 'delayed', member) == 1 then
    members[#members + 1] = member
    facts[#facts + 1] = fact
    shuts[#shuts + 1] = ARGV[i + 3]
    redis.call('HINCRBY', P .. 'later:count', topic, -1)
  elseif not member and redis.call('HEXISTS', P .. 'lease', entry) == 0 then
    local name, entry_id = split(entry)
    local is_free = redis.call('ZREM', P .. 'free:' .. name, pad(entry_id)) == 1
    handed[name] = handed[name] or delivered(name)
    if is_free or (newer(entry_id, handed[name]) and #redis.call('XRANGE', stream(name), entry_id, entry_id) > 0) then
      entries[#entries + 1] = entry
      facts[#facts + 1] = fact
      shuts[#shuts + 1] = ARGV[i + 3]
    end
  end
end
if #facts == 0 then return 0 end
tell(now, by, id, facts)
redis.call('HSET', P .. 'commits', id, #facts)
redis.call('ZADD', P .. 'commits:at', now, id)
shut(shuts)
bulk('ZREM', P .. 'later', members)
bulk('HDEL', P .. 'delayed', members)
erase(entries, by_name(entries))
return #facts
