-- What scripts begin with: the first two parts, and of the others those that they use. `redis_scripts.py` puts them in
-- front, and takes an empty line for the end of a part.
--
-- KEYS[1]  {ns}:state        hash: generation, entry (last number given), ms (highest in an id), journal, first
-- ARGV[1]  {ns}:             what every key begins with; all lie in one hash slot
-- ARGV[2]  generation        the one that the caller knows; another one means that the bus was reset
--
-- An entry is `<name>/<id>`, where {ns}:topic:<name> is its stream. Each script checks first and writes last, and
-- writes what is new before it takes away what is old.
local P, STATE = ARGV[1], KEYS[1]

if redis.call('HGET', STATE, 'generation') ~= ARGV[2] then
  return redis.status_reply('RESET')
end

local function whole(number) return string.format('%d', number) end

local function stream(name) return P .. 'topic:' .. name end

-- Most entries of a call lie on one stream, so the last name is tried first.
local head = ''
local function split(entry)
  local size = #head
  if size > 0 and string.sub(entry, 1, size) == head and not string.find(entry, '/', size + 1, true) then
    return string.sub(head, 1, -2), string.sub(entry, size + 1)
  end
  local name, id = string.match(entry, '^(.*)/([^/]*)$')
  head = (name or '') .. '/'
  return name, id
end

-- Call with many values, in parts that fit Lua's stack. `size` must be even where the values come in pairs.
local function bulk(command, key, values)
  for from = 1, #values, 2000 do
    redis.call(command, key, unpack(values, from, math.min(from + 1999, #values)))
  end
end

-- Read many fields or members, in their order.
local function values_of(command, key, names)
  if #names == 0 then return {} end
  if #names <= 2000 then return redis.call(command, key, unpack(names)) end
  local found = {}
  for from = 1, #names, 2000 do
    local values = redis.call(command, key, unpack(names, from, math.min(from + 1999, #names)))
    for i, value in ipairs(values) do found[from + i - 1] = value end
  end
  return found
end

-- The same as a table from each to what is found.
local function fetch(command, key, names)
  local found = {}
  for i, value in ipairs(values_of(command, key, names)) do found[names[i]] = value end
  return found
end

-- A lease is `<nanoseconds>|<renewal>|<token>`. Tokens come with the bar before them; most of a call are the same.
local good_lease, good_token
local function owns(lease, token)
  if not lease then return false end
  if lease == good_lease and token == good_token then return true end
  if string.sub(lease, -#token) ~= token then return false end
  good_lease, good_token = lease, token
  return true
end

-- Ids as members of a sorted set whose order is theirs.
local function pad(id)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)$')
  return string.rep('0', 20 - #ms) .. ms .. '-' .. string.rep('0', 20 - #seq) .. seq
end

local function unpad(member)
  local ms, seq = string.match(member, '^0*(%d+)%-0*(%d+)$')
  return ms .. '-' .. seq
end

local function group_of(name)
  local groups = redis.pcall('XINFO', 'GROUPS', stream(name))
  if groups.err then return nil end
  for _, group in ipairs(groups) do
    local told = {}
    for i = 1, #group, 2 do told[group[i]] = group[i + 1] end
    if told.name == 'workers' then return told end
  end
  return nil
end

-- The id up to which a stream was handed out.
local function delivered(name)
  local group = group_of(name)
  return group and group['last-delivered-id'] or '0-0'
end

-- Numbers for new entries: ids `<ms>-<number>` grow over all topics, so they tell the order of arrival.
local function numbers(count, now)
  local last = redis.call('HINCRBY', STATE, 'entry', count)
  local ms = math.max(math.floor(tonumber(now) / 1000), tonumber(redis.call('HGET', STATE, 'ms') or '0'))
  ms = whole(ms)
  redis.call('HSET', STATE, 'ms', ms)
  return last - count, ms
end

-- Returns the id, or nil when it cannot be: the key `to` is no stream, or somebody wrote the highest id that there is.
local function add(to, ms, number, payload, key, at, about)
  local made = redis.pcall('XADD', to, ms .. '-' .. whole(number), 'task', payload, 'key', key, 'at', at, 'about', about)
  if type(made) == 'string' then return made end
  -- Somebody else's entry has a later id (their clock is ahead): behind it, then.
  made = redis.pcall('XADD', to, '*', 'task', payload, 'key', key, 'at', at, 'about', about)
  return type(made) == 'string' and made or nil
end

-- Topics and which of their bands exist, so that a claim looks where something may be.
local function register(topic, rank, band)
  local mask = tonumber(redis.call('HGET', P .. 'topics', topic) or '0')
  if math.floor(mask / 2 ^ rank) % 2 == 0 then
    redis.call('HSET', P .. 'topics', topic, mask + 2 ^ rank)
    -- At the first entry: a group that somebody else makes later may begin behind it.
    redis.pcall('XGROUP', 'CREATE', stream(band), 'workers', '0', 'MKSTREAM')
  end
end

-- What waits for its time: `later` has the due times, `delayed` what it is. Members sort by age.
local function delay(member, due, topic, packed)
  redis.call('ZADD', P .. 'later', due, member)
  redis.call('HSET', P .. 'delayed', member, packed)
  redis.call('HINCRBY', P .. 'later:count', topic, 1)
end

-- Write an entry of the journal; `facts` is a JSON array.
local function write_down(now, by, commit, facts)
  local seq = whole(redis.call('HINCRBY', STATE, 'journal', 1))
  redis.call('XADD', P .. 'journal', seq .. '-1', 'at', now, 'by', by, 'commit', commit, 'facts', facts)
end

local function tell(now, by, commit, facts)
  if #facts > 0 then write_down(now, by, commit, '[' .. table.concat(facts, ',') .. ']') end
end

local function by_name(entries)
  local ids = {}
  for _, entry in ipairs(entries) do
    local name, id = split(entry)
    local list = ids[name]
    if not list then
      list = {}
      ids[name] = list
    end
    list[#list + 1] = id
  end
  return ids
end

-- Forget leases, and count what each stream has under lease. `ids` are the entries by name.
local function let_go(entries, ids)
  bulk('HDEL', P .. 'lease', entries)
  for name, list in pairs(ids) do redis.call('HINCRBY', P .. 'held', name, -#list) end
end

-- Open tasks: `open` from member to what it holds, `open:at` since when, `open:count` of each group. Let members go
-- whose task came to its end; returns the groups of those that were open.
local function shut(members)
  local freed, gone, less = {}, {}, {}
  if #members == 0 or redis.call('EXISTS', P .. 'open') == 0 then return freed end -- as nearly always
  for member, held in pairs(fetch('HMGET', P .. 'open', members)) do
    if held then
      local group = cmsgpack.unpack(held)[1]
      freed[member] = group
      gone[#gone + 1] = member
      less[group] = (less[group] or 0) + 1
    end
  end
  for group, count in pairs(less) do
    if redis.call('HINCRBY', P .. 'open:count', group, -count) <= 0 then
      redis.call('HDEL', P .. 'open:count', group)
    end
  end
  bulk('HDEL', P .. 'open', gone)
  bulk('ZREM', P .. 'open:at', gone)
  return freed
end

-- Take entries off the bus.
local function erase(entries, ids)
  for name, list in pairs(ids) do bulk('XDEL', stream(name), list) end
  if redis.call('EXISTS', P .. 'crashes') == 1 then bulk('HDEL', P .. 'crashes', entries) end
end
