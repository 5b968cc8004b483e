-- Let due messages arrive on their topics, by due time and then age.
--
-- Keys beside {ns}:state: later, delayed, later:count, topic:<name>, topics, crashes.
-- ARGV[3] now (microseconds), ARGV[4] limit
-- Returns how many moved, and the names of the streams that take none, one for each that stays.
local now = ARGV[3]
local members = redis.call('ZRANGEBYSCORE', P .. 'later', '-inf', now, 'LIMIT', 0, ARGV[4])
if #members == 0 then return { 0, {} } end
local found = fetch('HMGET', P .. 'delayed', members)
local number, ms = numbers(#members, now)
local bands = { [':critical'] = 0, [':high'] = 1, [':low'] = 3 }
local moved, gone, stuck = {}, {}, {}
for _, member in ipairs(members) do
  if not found[member] then
    gone[#gone + 1] = member -- its message was deleted by somebody
  else
    local name, key, about, payload, _, topic, crashes = unpack(cmsgpack.unpack(found[member]))
    number = number + 1
    local id = add(stream(name), ms, number, payload, key, now, about)
    if id then
      moved[#moved + 1] = member
      register(topic, bands[string.sub(name, #topic + 1)] or 2, name)
      redis.call('HINCRBY', P .. 'later:count', topic, -1)
      if crashes > 0 then redis.call('HSET', P .. 'crashes', name .. '/' .. id, crashes) end
    else
      -- Not now, and not in the way of the others.
      stuck[#stuck + 1] = name
      redis.call('ZADD', P .. 'later', string.format('%.0f', tonumber(now) + 60000000), member)
    end
  end
end
bulk('ZREM', P .. 'later', gone)
bulk('ZREM', P .. 'later', moved)
bulk('HDEL', P .. 'delayed', moved)
return { #moved, stuck }
