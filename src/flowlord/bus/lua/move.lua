-- Move messages that nobody holds to other topics, each as the newest there, and tell of each.
--
-- Keys beside {ns}:state: lease, free:<name>, topic:<name>, topics, crashes, later, delayed, later:count, journal,
-- commits, commits:at.
-- ARGV[3] commit, ARGV[4] by, ARGV[5] now; ARGV[6] entry or `<member>/later`, its topic, the fact as JSON, then what it
-- becomes: name of the stream, topic, rank, key, payload, about, due, ...
-- Returns how many went.
local id, by, now = ARGV[3], ARGV[4], ARGV[5]
local known = redis.call('HGET', P .. 'commits', id)
if known then return tonumber(known) end

local facts, entries, members, handed, going = {}, {}, {}, {}, {}

local function newer(a, b) return pad(a) > pad(b) end

for i = 6, #ARGV, 10 do
  local entry, topic = ARGV[i], ARGV[i + 1]
  local member = string.match(entry, '^(.*)/later$')
  if member and redis.call('HEXISTS', P .. 'delayed', member) == 1 then
    members[#members + 1] = member
    going[#going + 1] = i
    redis.call('HINCRBY', P .. 'later:count', topic, -1)
  elseif not member and redis.call('HEXISTS', P .. 'lease', entry) == 0 then
    local name, entry_id = split(entry)
    local is_free = redis.call('ZREM', P .. 'free:' .. name, pad(entry_id)) == 1
    handed[name] = handed[name] or delivered(name)
    if is_free or (newer(entry_id, handed[name]) and #redis.call('XRANGE', stream(name), entry_id, entry_id) > 0) then
      entries[#entries + 1] = entry
      going[#going + 1] = i
    end
  end
end
if #going == 0 then return 0 end

local number, ms = numbers(#going, now)
for _, i in ipairs(going) do
  local name, topic, rank, key, payload, about, due =
    ARGV[i + 3], ARGV[i + 4], tonumber(ARGV[i + 5]), ARGV[i + 6], ARGV[i + 7], ARGV[i + 8], tonumber(ARGV[i + 9])
  number = number + 1
  if due > 0 or not add(stream(name), ms, number, payload, key, now, about) then
    local packed = cmsgpack.pack({ name, key, about, payload, now, topic, 0 })
    delay(string.format('%016.0f/%s', number, name), due > 0 and due or now, topic, packed)
  end
  register(topic, rank, name)
  facts[#facts + 1] = ARGV[i + 2]
end
tell(now, by, id, facts)
redis.call('HSET', P .. 'commits', id, #facts)
redis.call('ZADD', P .. 'commits:at', now, id)
bulk('ZREM', P .. 'later', members)
bulk('HDEL', P .. 'delayed', members)
erase(entries, by_name(entries))
return #facts
