-- Land many commits, each all or nothing, in order.
--
-- Keys beside {ns}:state: lease, held, crashes, marks, marks:batch, expiry, outcome:<day>, days, topic:<name>, topics,
-- later, delayed, later:count, journal, commits, commits:at, batches, batch:lists, open, open:at, open:count and the staged
-- lists.
--
-- ARGV[3]  msgpack [id, by, now, day, streams, holds, commits, opens]
--          streams = [[name, topic, rank], ...], what is published to; holds = [[name, |token], ...], what is let go of
--          opens is a flat list of place in commits, member, group and key: what holds a group open from now on; group
--          `=` is that of the commit's outcomes, '' lets the member go
--          commits is one flat list (a table for each part of each commit would cost more than the rest): for each
--          commit seven counts and then as many groups of
--            acks      entry, place in holds
--            outcomes  digest
--            marks     key, how, seen, new or false, until; how 0 anything, 1 absent, 2 `seen`
--            rows      place in streams, key, due, lengths of payload and about
--            told      nothing: the count is the length of its facts, 0 for none
--            batches   batch, count, staged list
--            advance   batch, list, count, 1 when it is the last
-- ARGV[4]  payload and about of each row, one behind the other (msgpack here knows no bytes)
-- ARGV[5]  JSON array of the facts of all commits
--
-- Lua hashes every byte of each string that is made, so texts come once and together, and the facts, which are the
-- longest, go on as they came unless one of the commits does not land.
-- Returns those that did not simply land: [place, word, about, found, ...].
local id, by, now, day, streams, holds, commits, opens = unpack(cmsgpack.unpack(ARGV[3]))

-- A commit sent again after its answer was lost.
local known = redis.call('HGET', P .. 'commits', id)
if known then return cmsgpack.unpack(known) end

-- Where the parts of each commit begin: in `commits`, its texts in ARGV[4] and its facts in ARGV[5].
local places, at, text, told = {}, 1, 1, 2
while at <= #commits do
  local acks = at + 7
  local outcomes = acks + 2 * commits[at]
  local marks = outcomes + commits[at + 1]
  local rows = marks + 5 * commits[at + 2]
  local batches = rows + 5 * commits[at + 3]
  local facts = commits[at + 4]
  local advance = batches + 3 * commits[at + 5]
  local ends = advance + 4 * commits[at + 6]
  places[#places + 1] = {
    acks = acks, outcomes = outcomes, marks = marks, rows = rows, batches = batches, advance = advance, ends = ends,
    text = text, told = told, facts = facts,
  }
  for i = rows, batches - 1, 5 do text = text + commits[i + 3] + commits[i + 4] end
  if facts > 0 then told = told + facts + 1 end
  at = ends
end

local entries, digests, keys = {}, {}, {}
for _, p in ipairs(places) do
  for i = p.acks, p.outcomes - 1, 2 do entries[#entries + 1] = commits[i] end
  for i = p.outcomes, p.marks - 1 do digests[#digests + 1] = commits[i] end
  for i = p.marks, p.rows - 1, 5 do keys[#keys + 1] = commits[i] end
  for i = p.batches, p.advance - 1, 3 do
    if redis.call('LLEN', commits[i + 2]) ~= commits[i + 1] then
      return redis.error_reply('UNSTAGED a part of batch ' .. commits[i] .. ' is gone')
    end
  end
end
local leases = fetch('HMGET', P .. 'lease', entries)
local values = fetch('HMGET', P .. 'marks', keys)
local recorded = {}
if #digests > 0 then
  for _, one in ipairs(redis.call('SMEMBERS', P .. 'days')) do
    if tonumber(one) >= day - 7 then
      for digest, found in pairs(fetch('SMISMEMBER', P .. 'outcome:' .. one, digests)) do
        if found == 1 then recorded[digest] = true end
      end
    end
  end
end

local answers, ended, gone, landed, set, fresh, count = {}, {}, {}, {}, {}, {}, 0
local function answer(place, word, about, found)
  answers[#answers + 1] = place
  answers[#answers + 1] = word
  answers[#answers + 1] = about
  answers[#answers + 1] = found
end

local function judge(place, p)
  for i = p.acks, p.outcomes - 1, 2 do
    if not owns(leases[commits[i]], holds[commits[i + 1]][2]) then return answer(place, 'lost', commits[i], false) end
  end
  local duplicate = false
  for i = p.outcomes, p.marks - 1 do duplicate = duplicate or recorded[commits[i]] end
  if duplicate then
    answer(place, 'duplicate', '', false)
  else
    for i = p.marks, p.rows - 1, 5 do
      local found, how = values[commits[i]], commits[i + 1]
      if (how == 1 and found) or (how == 2 and found ~= commits[i + 2]) then
        return answer(place, 'refused', commits[i], found)
      end
    end
    for i = p.marks, p.rows - 1, 5 do
      values[commits[i]] = commits[i + 3]
      set[commits[i]] = { commits[i + 3], commits[i + 4] }
    end
    for i = p.outcomes, p.marks - 1 do
      if not recorded[commits[i]] then
        recorded[commits[i]] = true
        fresh[#fresh + 1] = commits[i]
      end
    end
    landed[#landed + 1], p.landed = p, true
    count = count + (p.batches - p.rows) / 5
  end
  for i = p.acks, p.outcomes - 1, 2 do
    if leases[commits[i]] then
      leases[commits[i]] = false
      local hold = holds[commits[i + 1]]
      local ids = gone[hold[1]]
      if not ids then
        ids = {}
        gone[hold[1]] = ids
      end
      ended[#ended + 1] = commits[i]
      ids[#ids + 1] = string.sub(commits[i], #hold[1] + 2)
    end
  end
end

for place, p in ipairs(places) do judge(place, p) end
if #landed == 0 and #ended == 0 then return answers end

-- From here on nothing may fail.
if count > 0 then
  local used, number, ms = {}, numbers(count, now)
  for _, p in ipairs(landed) do
    local text = p.text
    for i = p.rows, p.batches - 1, 5 do
      local where, key, due = streams[commits[i]], commits[i + 1], commits[i + 2]
      local behind = text + commits[i + 3]
      local payload = string.sub(ARGV[4], text, behind - 1)
      text = behind + commits[i + 4]
      local about = string.sub(ARGV[4], behind, text - 1)
      number = number + 1
      used[commits[i]] = true
      -- What a stream does not take waits as a later message: nothing that was accepted is dropped.
      if due > 0 or not add(where[1], ms, number, payload, key, now, about) then
        local packed = cmsgpack.pack({ where[1], key, about, payload, now, where[2], 0 })
        delay(string.format('%016.0f/%s', number, where[1]), due > 0 and due or now, where[2], packed)
      end
    end
  end
  for place in pairs(used) do register(streams[place][2], streams[place][3], streams[place][1]) end
end
local freed = shut(fresh)
for i = 1, #opens, 4 do
  local p, member, group = places[opens[i]], opens[i + 1], opens[i + 2]
  if p.landed then
    if group == '=' then
      group = nil
      for at = p.outcomes, p.marks - 1 do group = group or freed[commits[at]] end
    end
    if group then shut({ member }) end
    if group and group ~= '' then
      redis.call('HSET', P .. 'open', member, cmsgpack.pack({ group, opens[i + 3] }))
      redis.call('ZADD', P .. 'open:at', now, member)
      redis.call('HINCRBY', P .. 'open:count', group, 1)
    end
  end
end
for _, p in ipairs(landed) do
  for i = p.batches, p.advance - 1, 3 do
    redis.call('PERSIST', commits[i + 2])
    redis.call('HSET', P .. 'batch:lists', commits[i], commits[i + 2])
    redis.call('RPUSH', P .. 'batches', commits[i])
  end
  if p.advance < p.ends then
    local batch, list = commits[p.advance], commits[p.advance + 1]
    redis.call('LTRIM', list, commits[p.advance + 2], -1)
    if commits[p.advance + 3] == 1 then
      redis.call('DEL', list)
      redis.call('HDEL', P .. 'batch:lists', batch)
      redis.call('LREM', P .. 'batches', 1, batch)
    end
  end
end

local written, removed, expiring, lasting = {}, {}, {}, {}
for key, mark in pairs(set) do
  -- Open batches are looked for many times a second, among marks that may be millions.
  if string.sub(key, 1, 6) == 'batch:' then redis.call(mark[1] and 'SADD' or 'SREM', P .. 'marks:batch', key) end
  if mark[1] then
    written[#written + 1] = key
    written[#written + 1] = mark[1]
  else
    removed[#removed + 1] = key
  end
  if mark[1] and mark[2] > 0 then
    expiring[#expiring + 1] = mark[2]
    expiring[#expiring + 1] = key
  else
    lasting[#lasting + 1] = key
  end
end
bulk('HSET', P .. 'marks', written)
bulk('HDEL', P .. 'marks', removed)
bulk('ZADD', P .. 'expiry', expiring)
if #lasting > 0 and redis.call('EXISTS', P .. 'expiry') == 1 then bulk('ZREM', P .. 'expiry', lasting) end
if #fresh > 0 then
  bulk('SADD', P .. 'outcome:' .. day, fresh)
  redis.call('SADD', P .. 'days', day)
end
if #landed < #places then
  local facts = {}
  for _, p in ipairs(landed) do
    if p.facts > 0 then facts[#facts + 1] = string.sub(ARGV[5], p.told, p.told + p.facts - 1) end
  end
  tell(now, by, id, facts)
elseif ARGV[5] ~= '[]' then
  write_down(now, by, id, ARGV[5])
end
redis.call('HSET', P .. 'commits', id, cmsgpack.pack(answers))
redis.call('ZADD', P .. 'commits:at', now, id)
if #ended > 0 then
  let_go(ended, gone)
  erase(ended, gone)
end
return answers
