-- Give back what is held, at once or for later. The count of crashes stays with it.
--
-- Keys beside {ns}:state: lease, held, crashes, free:<name>, topic:<name>, topics, later, delayed, later:count, bell.
-- ARGV[3] now, ARGV[4] due or 0 (microseconds); ARGV[5] entry, |token, topic, ...
-- Returns nothing.
local now, due, wanted, held = ARGV[3], ARGV[4], {}, {}
for i = 5, #ARGV, 3 do wanted[#wanted + 1] = ARGV[i] end
local leases = fetch('HMGET', P .. 'lease', wanted)
local gone, rung = {}, {}

local function again(name, told, entry, crashes)
  local number, ms = numbers(1, now)
  local id = add(stream(name), ms, number + 1, told.task, told.key, told.at, told.about)
  if id and crashes > 0 then redis.call('HSET', P .. 'crashes', name .. '/' .. id, crashes) end
  return id
end

for i = 5, #ARGV, 3 do
  local entry, topic = ARGV[i], ARGV[i + 2]
  if owns(leases[entry], ARGV[i + 1]) then
    leases[entry] = false
    held[#held + 1] = entry
    local name, id = split(entry)
    -- What a foreign reader left goes back to where foreign readers find it: they know nothing of `free`.
    local is_foreign = string.match(ARGV[i + 1], '^|[^|]*|f|')
    local found = (is_foreign or due ~= '0') and redis.call('XRANGE', stream(name), id, id)[1]
    if due == '0' and not found then
      redis.call('ZADD', P .. 'free:' .. name, 0, pad(id))
      rung[topic] = true
    elseif found then
      local told, fields = { key = '', at = now, about = '' }, {}
      for f = 1, #found[2], 2 do
        told[found[2][f]] = found[2][f + 1]
        fields[found[2][f]] = found[2][f + 1]
      end
      if not told.task then -- one field of another name is taken for it
        told.task = #found[2] == 2 and found[2][2] or cjson.encode(fields)
      end
      local crashes = tonumber(redis.call('HGET', P .. 'crashes', entry) or '0')
      local packed = cmsgpack.pack({ name, told.key, told.about, told.task, told.at, topic, crashes })
      local number = tonumber(string.match(id, '%-(%d+)$'))
      local back = due == '0' and again(name, told, entry, crashes)
      if not back then
        delay(string.format('%016.0f/%s/%s', number, name, id), due == '0' and now or due, topic, packed)
      end
      gone[#gone + 1] = entry
    end
  end
end
let_go(held, by_name(held))
erase(gone, by_name(gone))
for topic in pairs(rung) do redis.call('XADD', P .. 'bell', 'MAXLEN', 16, '*', 'topic', topic) end
return false
