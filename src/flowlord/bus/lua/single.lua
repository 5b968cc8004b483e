-- Land one commit that publishes one message and may end one delivery, and does nothing else: what `commit` does for
-- many, in half the time that it takes for one.
--
-- Keys beside {ns}:state: lease, held, crashes, topic:<name>, topics, later, delayed, later:count, journal, commits:at.
--
-- ARGV[3]  form, that of `commit`
-- ARGV[4]  id         ARGV[5]  by        ARGV[6]  now
-- ARGV[7]  name of the stream            ARGV[8]  topic     ARGV[9]   rank
-- ARGV[10] key        ARGV[11] payload   ARGV[12] about     ARGV[13]  the facts as a JSON array, or ''
-- ARGV[14] stream of the entry that is acknowledged         ARGV[15]  its id
-- ARGV[16] |token of its lease            ARGV[17] 1 when somebody may have crashed with it
-- Returns what `commit` does.
local FORM = '4'
local state = redis.call('HMGET', STATE, 'generation', 'entry', 'ms', 'journal')
if state[1] ~= ARGV[2] then return redis.status_reply('RESET') end
local _, _, form, id, by, now, name, topic, rank, key, payload, about, facts, held, held_id, token,
  crashed = unpack(ARGV)
if form ~= FORM then
  local sent = form == '' and 'no form' or 'form ' .. form
  return redis.error_reply('FORM a commit came in ' .. sent .. ' to a script that reads form ' .. FORM)
end

local entry = held and held .. '/' .. held_id
if held and not owns(redis.call('HGET', P .. 'lease', entry), token) then
  -- Unless it landed before, and is sent again since its answer was lost.
  if redis.call('ZSCORE', P .. 'commits:at', id) then return {} end
  return { 1, 'lost', entry, false }
end
-- No answer is kept beside its name: there is only one.
if redis.call('ZADD', P .. 'commits:at', 'NX', now, id) == 0 then return {} end

-- From here on nothing may fail.
local number = tonumber(state[2] or '0') + 1
local ms = whole(math.max(math.floor(tonumber(now) / 1000), tonumber(state[3] or '0')))
local seq = facts ~= '' and whole(tonumber(state[4] or '0') + 1)
if seq then
  redis.call('HSET', STATE, 'entry', whole(number), 'ms', ms, 'journal', seq)
else
  redis.call('HSET', STATE, 'entry', whole(number), 'ms', ms)
end
if not add(stream(name), ms, number, payload, key, now, about) then
  delay(string.format('%016.0f/%s', number, name), now, topic, cmsgpack.pack({ name, key, about, payload, now, topic, 0 }))
end
register(topic, tonumber(rank), name)
if seq then redis.call('XADD', P .. 'journal', seq .. '-1', 'at', now, 'by', by, 'commit', id, 'facts', facts) end
if held then
  redis.call('HDEL', P .. 'lease', entry)
  redis.call('HINCRBY', P .. 'held', held, -1)
  redis.call('XDEL', stream(held), held_id)
  if crashed == '1' then redis.call('HDEL', P .. 'crashes', entry) end
end
return {}
