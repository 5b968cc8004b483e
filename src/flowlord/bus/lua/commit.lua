-- Land many commits, each all or nothing, in order.
--
-- Keys beside {ns}:state: lease, held, crashes, marks, marks:batch, expiry, outcome:<day>, days, topic:<name>, topics,
-- later, delayed, later:count, journal, commits, commits:at, batches, batch:lists, open, open:at, open:count and the staged
-- lists.
--
-- Form 4: what pack in redis_commit.py sends begins with this number (FORM there); raise both with each change of what
-- ARGV[3] to ARGV[6] hold, so that the two of different versions refuse each other before anything is written.
--
-- ARGV[3]  msgpack [form, id, by, now, day, apart, entries, holds, digests, marks, streams, keys, sizes, dues, opens,
--          batches, advances]: what all commits are about, one behind the other, in flat lists (a table for each part of
--          each commit would cost more than the rest)
--          apart     whether no entry, digest and mark is in it twice
--          entries   what is acknowledged
--          holds     [name, |token, how many entries] of the entries, in their order
--          digests   of the outcomes
--          marks     key, how, seen, new or false, until; how 0 anything, 1 absent, 2 `seen`
--          streams   [name, topic, rank, how many rows]: where the rows are published, in their order
--          keys      of the rows
--          sizes     lengths of payload and about of each row; -1 for an about that is that of the row before
--          dues      row and due time of those that are published later
--          opens     place, member, group, key, and the first and last of the digests of its commit: what holds a group
--                    open from now on; group `=` is that of the commit's outcomes, '' lets the member go
--          batches   place, batch, count, staged list
--          advances  place, batch, list, count, 1 when it is the last
-- ARGV[4]  payload and about of each row, unless it is the same again, one behind the other (msgpack here knows no bytes)
-- ARGV[5]  JSON array of the facts of all commits
-- ARGV[6]  msgpack of how many acks, outcomes, marks, rows and bytes of facts each commit has
--
-- Lua hashes every byte of each string that is made, so texts come once and together, and the facts, which are the
-- longest, go on as they came unless one of the commits does not land.
-- Returns those that did not simply land: [place, word, about, found, ...].
local FORM = 4
local form, id, by, now, day, apart, entries, holds, digests, marks, streams, keys, sizes, dues, opens, batches,
  advances = unpack(cmsgpack.unpack(ARGV[3]))
if form ~= FORM then
  local sent = type(form) == 'number' and 'form ' .. form or 'no form'
  return redis.error_reply('FORM a commit came in ' .. sent .. ' to a script that reads form ' .. FORM)
end

-- A commit sent again after its answer was lost.
local known = redis.call('HGET', P .. 'commits', id)
if known then return cmsgpack.unpack(known) end

for i = 1, #batches, 4 do
  if redis.call('LLEN', batches[i + 3]) ~= batches[i + 2] then
    return redis.error_reply('UNSTAGED a part of batch ' .. batches[i + 1] .. ' is gone')
  end
end

local leases = values_of('HMGET', P .. 'lease', entries)
local names = {}
for i = 1, #marks, 5 do names[#names + 1] = marks[i] end
local values = fetch('HMGET', P .. 'marks', names)
local recorded, is_new = {}, true
if #digests > 0 then
  for _, one in ipairs(redis.call('SMEMBERS', P .. 'days')) do
    if tonumber(one) >= day - 7 then
      for i, found in ipairs(values_of('SMISMEMBER', P .. 'outcome:' .. one, digests)) do
        if found == 1 then recorded[digests[i]], is_new = true, false end
      end
    end
  end
end

local function all_held()
  local at = 0
  for _, hold in ipairs(holds) do
    for i = at + 1, at + hold[3] do
      if not owns(leases[i], hold[2]) then return false end
    end
    at = at + hold[3]
  end
  return true
end

local function differs(i)
  local found, how = values[marks[i]], marks[i + 1]
  return (how == 1 and found) or (how == 2 and found ~= marks[i + 2])
end

local function none_differs()
  for i = 1, #marks, 5 do
    if differs(i) then return false end
  end
  return true
end

-- Something stands in the way of one of them: each is judged against the bus as those before it leave it, and of what
-- all are about only that is left which is to be written. Returns the answers, which places landed, the rows that are
-- left out, how many are left, and the facts.
local function judge()
  local shapes, tokens, held = cmsgpack.unpack(ARGV[6]), {}, {}
  for _, hold in ipairs(holds) do
    for _ = 1, hold[3] do tokens[#tokens + 1] = hold end
  end
  for i, entry in ipairs(entries) do held[entry] = leases[i] end
  local answers, landed, without, count, facts = {}, {}, {}, 0, {}
  local ended, let, fresh, set = {}, {}, {}, {}
  local function answer(place, word, about, found)
    answers[#answers + 1] = place
    answers[#answers + 1] = word
    answers[#answers + 1] = about
    answers[#answers + 1] = found
  end
  local a, o, m, r, told = 0, 0, 0, 0, 2
  for place = 1, #shapes / 5 do
    local at = 5 * place - 4
    local acks, outcomes, marked = a + shapes[at], o + shapes[at + 1], m + shapes[at + 2]
    local rows, size = r + shapes[at + 3], shapes[at + 4]
    local stands, word, about, found = true, nil, '', false
    for i = a + 1, acks do
      if stands and not owns(held[entries[i]], tokens[i][2]) then stands, word, about = false, 'lost', entries[i] end
    end
    if stands then
      for i = o + 1, outcomes do
        if recorded[digests[i]] then word = 'duplicate' end
      end
    end
    if stands and not word then
      for i = 5 * m + 1, 5 * marked, 5 do
        if stands and differs(i) then
          stands, word, about, found = false, 'refused', marks[i], values[marks[i]]
        end
      end
    end
    if word then
      answer(place, word, about, found)
    else
      landed[place] = true
      for i = 5 * m + 1, 5 * marked, 5 do
        values[marks[i]] = marks[i + 3]
        for j = i, i + 4 do set[#set + 1] = marks[j] end
      end
      for i = o + 1, outcomes do
        if not recorded[digests[i]] then
          recorded[digests[i]] = true
          fresh[#fresh + 1] = digests[i]
        end
      end
      count = count + rows - r
      if size > 0 then facts[#facts + 1] = string.sub(ARGV[5], told, told + size - 1) end
    end
    if not landed[place] then
      for i = r + 1, rows do without[i] = true end
    end
    if stands then
      for i = a + 1, acks do
        if held[entries[i]] then
          held[entries[i]] = false
          ended[#ended + 1] = entries[i]
          let[#let + 1] = { tokens[i][1], tokens[i][2], 1 }
        end
      end
    end
    a, o, m, r = acks, outcomes, marked, rows
    if size > 0 then told = told + size + 1 end
  end
  entries, holds, digests, marks = ended, let, fresh, set
  return answers, landed, without, count, facts
end

local outcomes = digests -- `opens` tells places in it
local answers, landed, without, count, facts = {}, nil, {}, #keys, nil
if not (apart and is_new and all_held() and none_differs()) then
  answers, landed, without, count, facts = judge()
  if not next(landed) and #entries == 0 then return answers end
end

local function lands(place) return not landed or landed[place] end

-- From here on nothing may fail.
if count > 0 then
  local later, number, ms = {}, numbers(count, now)
  for i = 1, #dues, 2 do later[dues[i]] = dues[i + 1] end
  local row, at, used, about = 0, 1, {}, ''
  for _, where in ipairs(streams) do
    local to = stream(where[1])
    for i = row + 1, row + where[4] do
      local behind, ends = at + sizes[2 * i - 1]
      if sizes[2 * i] < 0 then
        ends = behind
      else
        ends = behind + sizes[2 * i]
        about = string.sub(ARGV[4], behind, ends - 1)
      end
      if not without[i] then
        local payload, key, due = string.sub(ARGV[4], at, behind - 1), keys[i], later[i]
        number, used[where[1]] = number + 1, where
        -- What a stream does not take waits as a later message: nothing that was accepted is dropped.
        if due or not add(to, ms, number, payload, key, now, about) then
          local packed = cmsgpack.pack({ where[1], key, about, payload, now, where[2], 0 })
          delay(string.format('%016.0f/%s', number, where[1]), due or now, where[2], packed)
        end
      end
      at = ends
    end
    row = row + where[4]
  end
  for _, where in pairs(used) do register(where[2], where[3], where[1]) end
end
local freed = shut(digests)
for i = 1, #opens, 6 do
  local member, group = opens[i + 1], opens[i + 2]
  if lands(opens[i]) then
    if group == '=' then
      group = nil
      for at = opens[i + 4], opens[i + 5] do group = group or freed[outcomes[at]] end
    end
    if group then shut({ member }) end
    if group and group ~= '' then
      redis.call('HSET', P .. 'open', member, cmsgpack.pack({ group, opens[i + 3] }))
      redis.call('ZADD', P .. 'open:at', now, member)
      redis.call('HINCRBY', P .. 'open:count', group, 1)
    end
  end
end
for i = 1, #batches, 4 do
  if lands(batches[i]) then
    redis.call('PERSIST', batches[i + 3])
    redis.call('HSET', P .. 'batch:lists', batches[i + 1], batches[i + 3])
    redis.call('RPUSH', P .. 'batches', batches[i + 1])
  end
end
for i = 1, #advances, 5 do
  if lands(advances[i]) then
    local batch, list = advances[i + 1], advances[i + 2]
    redis.call('LTRIM', list, advances[i + 3], -1)
    if advances[i + 4] == 1 then
      redis.call('DEL', list)
      redis.call('HDEL', P .. 'batch:lists', batch)
      redis.call('LREM', P .. 'batches', 1, batch)
    end
  end
end

if #marks > 0 then
  local set, written, removed, expiring, lasting = {}, {}, {}, {}, {}
  for i = 1, #marks, 5 do set[marks[i]] = i end -- the last one counts
  for key, i in pairs(set) do
    local new, till = marks[i + 3], marks[i + 4]
    -- Open batches are looked for many times a second, among marks that may be millions.
    if string.sub(key, 1, 6) == 'batch:' then redis.call(new and 'SADD' or 'SREM', P .. 'marks:batch', key) end
    if new then
      written[#written + 1] = key
      written[#written + 1] = new
    else
      removed[#removed + 1] = key
    end
    if new and till > 0 then
      expiring[#expiring + 1] = till
      expiring[#expiring + 1] = key
    else
      lasting[#lasting + 1] = key
    end
  end
  bulk('HSET', P .. 'marks', written)
  bulk('HDEL', P .. 'marks', removed)
  bulk('ZADD', P .. 'expiry', expiring)
  if #lasting > 0 and redis.call('EXISTS', P .. 'expiry') == 1 then bulk('ZREM', P .. 'expiry', lasting) end
end
if #digests > 0 then
  bulk('SADD', P .. 'outcome:' .. day, digests)
  redis.call('SADD', P .. 'days', day)
end
if facts then
  tell(now, by, id, facts)
elseif ARGV[5] ~= '[]' then
  write_down(now, by, id, ARGV[5])
end
redis.call('HSET', P .. 'commits', id, cmsgpack.pack(answers))
redis.call('ZADD', P .. 'commits:at', now, id)
if #entries > 0 then
  local ids, at = {}, 0
  for _, hold in ipairs(holds) do
    local list, from = ids[hold[1]] or {}, #hold[1] + 2
    for i = at + 1, at + hold[3] do list[#list + 1] = string.sub(entries[i], from) end
    ids[hold[1]], at = list, at + hold[3]
  end
  let_go(entries, ids)
  erase(entries, ids)
end
return answers
