-- Give back what is held, at once or for later. The count of crashes stays with it.
--
-- Keys beside {ns}:state: lease, held, crashes, free:<name>, topic:<name>, topics, later, delayed, later:count, bell.
-- ARGV[3] now, ARGV[4] due or 0 (microseconds); ARGV[5] entry, |token, topic, ...
-- Returns nothing.
local now, due, wanted, held = ARGV[3], ARGV[4], {}, {}
for i = 5, #ARGV, 3 do wanted[#wanted + 1] = ARGV[i] end
local leases = fetch('HMGET', P .. 'lease', wanted)
local gone, rung = {}, {}
for i = 5, #ARGV, 3 do
  local entry, topic = ARGV[i], ARGV[i + 2]
  if owns(leases[entry], ARGV[i + 1]) then
    leases[entry] = false
    held[#held + 1] = entry
    local name, id = split(entry)
    if due == '0' then
      redis.call('ZADD', P .. 'free:' .. name, 0, pad(id))
      rung[topic] = true
    else
      local found = redis.call('XRANGE', stream(name), id, id)[1]
      if found then
        local told = { task = '', key = '', at = now, about = '' }
        for f = 1, #found[2], 2 do told[found[2][f]] = found[2][f + 1] end
        local crashes = tonumber(redis.call('HGET', P .. 'crashes', entry) or '0')
        local packed = cmsgpack.pack({ name, told.key, told.about, told.task, told.at, topic, crashes })
        local number = tonumber(string.match(id, '%-(%d+)$'))
        delay(string.format('%016.0f/%s/%s', number, name, id), due, topic, packed)
        gone[#gone + 1] = entry
      end
    end
  end
end
let_go(held, by_name(held))
erase(gone, by_name(gone))
for topic in pairs(rung) do redis.call('XADD', P .. 'bell', 'MAXLEN', 16, '*', 'topic', topic) end
return false
