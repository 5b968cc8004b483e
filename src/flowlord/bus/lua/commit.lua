-- Land many commits, each all or nothing, in order.
--
-- Keys beside {ns}:state: lease, held, crashes, marks, expiry, outcome:<day>, days, topic:<name>, topics, later,
-- delayed, later:count, journal, commits, commits:at, batches, batch:lists and the staged lists.
--
-- ARGV[3]  msgpack [id, by, now, day, names, commits]; names = [[name, topic, rank], ...]
--          commits is one flat list (a table for each part of each commit would cost more than the rest): for each
--          commit seven counts and then as many groups of
--            acks      entry, |token
--            outcomes  digest
--            marks     key, how, seen, new or false, until; how 0 anything, 1 absent, 2 `seen`
--            rows      place in names, key, due
--            told      nothing: 1 when facts follow in ARGV
--            batches   batch, count, staged list
--            advance   batch, list, count, 1 when it is the last
-- ARGV[4]  for each commit: payload and about of each row, then the inside of its JSON array of facts
-- Returns those that did not simply land: [place, word, about, found, ...].
local id, by, now, day, names, commits = unpack(cmsgpack.unpack(ARGV[3]))

-- A commit sent again after its answer was lost.
local known = redis.call('HGET', P .. 'commits', id)
if known then return cmsgpack.unpack(known) end

-- Where the parts of each commit begin in `commits`, and its texts in ARGV.
local places, at, arg = {}, 1, 4
while at <= #commits do
  local p = { acks = at + 7, text = arg }
  p.outcomes = p.acks + 2 * commits[at]
  p.marks = p.outcomes + commits[at + 1]
  p.rows = p.marks + 5 * commits[at + 2]
  p.batches = p.rows + 3 * commits[at + 3]
  p.advance = p.batches + 3 * commits[at + 5]
  p.ends = p.advance + 4 * commits[at + 6]
  p.told = commits[at + 4] == 1
  p.facts = arg + 2 * commits[at + 3]
  arg = p.facts + commits[at + 4]
  places[#places + 1] = p
  at = p.ends
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

local answers, ended, landed, set, fresh, count = {}, {}, {}, {}, {}, 0
local function answer(place, word, about, found)
  answers[#answers + 1] = place
  answers[#answers + 1] = word
  answers[#answers + 1] = about
  answers[#answers + 1] = found
end

local function judge(place, p)
  for i = p.acks, p.outcomes - 1, 2 do
    if not owns(leases[commits[i]], commits[i + 1]) then return answer(place, 'lost', commits[i], false) end
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
    landed[#landed + 1] = p
    count = count + (p.batches - p.rows) / 3
  end
  for i = p.acks, p.outcomes - 1, 2 do
    if leases[commits[i]] then
      leases[commits[i]] = false
      ended[#ended + 1] = commits[i]
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
    for i = p.rows, p.batches - 1, 3 do
      local where, key, due = names[commits[i]], commits[i + 1], commits[i + 2]
      number = number + 1
      used[commits[i]] = true
      -- What a stream does not take waits as a later message: nothing that was accepted is dropped.
      if due > 0 or not add(where[1], ms, number, ARGV[text], key, now, ARGV[text + 1]) then
        local packed = cmsgpack.pack({ where[1], key, ARGV[text + 1], ARGV[text], now, where[2], 0 })
        delay(string.format('%016.0f/%s', number, where[1]), due > 0 and due or now, where[2], packed)
      end
      text = text + 2
    end
  end
  for place in pairs(used) do register(names[place][2], names[place][3], names[place][1]) end
end
local facts = {}
for _, p in ipairs(landed) do
  if p.told then facts[#facts + 1] = ARGV[p.facts] end
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
tell(now, by, id, facts)
redis.call('HSET', P .. 'commits', id, cmsgpack.pack(answers))
redis.call('ZADD', P .. 'commits:at', now, id)
if #ended > 0 then
  local ids = by_name(ended)
  let_go(ended, ids)
  erase(ended, ids)
end
return answers
