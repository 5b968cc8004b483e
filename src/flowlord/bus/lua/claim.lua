-- Lease waiting messages: higher bands first, then by arrival; what was given back goes before what is new.
--
-- Keys beside {ns}:state: topics, topic:<name>, free:<name>, lease, held, crashes, bell.
--
-- The group's pending list is not used (NOACK): the lease, written in this same step, is the record of who has what.
-- So nothing is pending for a consumer that is gone, and what is pending there belongs to foreign readers.
--
-- ARGV[3] lease to write   ARGV[4] limit   ARGV[5] 1 when the caller would wait   ARGV[6] crashes that isolate
-- ARGV[7] for each topic: topic and the names of its bands, highest first
-- Returns {[[name, entries], ...], [entry, crashes, ...], [stream, id, ...] to listen on when nothing was found}; as
-- nearly always, what lies on one stream in the form that we write, and crashed nobody, as {name, id, task, key, about,
-- id, ...}: each table that a script returns takes as long as a small command.
local lease, limit, listens, alone_after = ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])

local function fresh(name, count)
  local key = stream(name)
  local got = redis.pcall('XREADGROUP', 'GROUP', 'workers', 'flowlord', 'COUNT', count, 'NOACK', 'STREAMS', key, '>')
  if got and got.err then
    -- A stream that nobody claimed from: from its beginning. A key that is no stream has nothing for us.
    if redis.call('TYPE', key).ok ~= 'stream' then return {} end
    redis.call('XGROUP', 'CREATE', key, 'workers', '0')
    got = redis.call('XREADGROUP', 'GROUP', 'workers', 'flowlord', 'COUNT', count, 'NOACK', 'STREAMS', key, '>')
  end
  return got and got[1][2] or {}
end

-- A group that was set back hands out again what somebody holds, or what was given back.
local function unheld(name, entries, has_free)
  if not has_free and tonumber(redis.call('HGET', P .. 'held', name) or '0') <= 0 then return entries end
  local fields, left = {}, {}
  for i, entry in ipairs(entries) do fields[i] = name .. '/' .. entry[1] end
  for i, held in ipairs(values_of('HMGET', P .. 'lease', fields)) do
    if not held and not (has_free and redis.call('ZSCORE', P .. 'free:' .. name, pad(entries[i][1]))) then
      left[#left + 1] = entries[i]
    end
  end
  return left
end

-- Lease what is new on one stream, where nothing was given back and nobody crashed.
local function take_all(name, count)
  local entries = fresh(name, count)
  if #entries == 1 then
    if redis.call('HSETNX', P .. 'lease', name .. '/' .. entries[1][1], lease) == 0 then return {} end
  else
    entries = unheld(name, entries, false)
    local leases = {}
    for i, entry in ipairs(entries) do
      leases[2 * i - 1], leases[2 * i] = name .. '/' .. entry[1], lease
    end
    bulk('HSET', P .. 'lease', leases)
  end
  if #entries > 0 then redis.call('HINCRBY', P .. 'held', name, #entries) end
  return entries
end

-- Returns nothing when one of them is not so plain.
local function plain(name, entries)
  local told, size = { name }, 1
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    if #fields ~= 8 or fields[1] ~= 'task' or fields[3] ~= 'key' or fields[5] ~= 'at' or fields[7] ~= 'about' then
      return nil
    end
    told[size + 1], told[size + 2], told[size + 3], told[size + 4] = entry[1], fields[2], fields[4], fields[8]
    size = size + 4
  end
  return told
end

-- One topic that has one band: as nearly always, so what else there may be is made further down.
if #ARGV == 11 and redis.call('HGET', P .. 'topics', ARGV[7]) == '4' then
  local name = ARGV[10]
  if redis.call('EXISTS', P .. 'crashes', P .. 'free:' .. name) == 0 then
    local entries = take_all(name, limit)
    if #entries > 0 then return plain(name, entries) or { { { name, entries } }, {}, {} } end
  end
end

local runs, leases, counts, crashes, freed = {}, {}, {}, {}, {}
local taken = 0

-- Take what is oldest on some streams of a band. Returns whether the claim is over: what is likely poison comes alone.
local function merge(names)
  local any_crashed = redis.call('EXISTS', P .. 'crashes') == 1

  local function take(name, entry)
    local run = runs[#runs]
    if not run or run[1] ~= name then
      run = { name, {} }
      runs[#runs + 1] = run
    end
    run[2][#run[2] + 1] = entry
    leases[#leases + 1] = name .. '/' .. entry[1]
    leases[#leases + 1] = lease
    counts[name] = (counts[name] or 0) + 1
    taken = taken + 1
  end

  -- A band of one topic. `buffer` is what was read of it; of what is new, more may be read than is taken.
  local function source(name)
    local s = { name = name, buffer = {}, at = 1, free = 0, start = delivered(name) }
    function s.head(step)
      while s.at > #s.buffer and not s.over do
        s.buffer, s.at = {}, 1
        if s.free then
          local members = redis.call('ZRANGE', P .. 'free:' .. name, s.free, s.free + step - 1)
          s.free = #members > 0 and s.free + #members or nil
          for _, member in ipairs(members) do
            local id = unpad(member)
            local entry = redis.call('XRANGE', stream(name), id, id)[1]
            if entry then
              entry.member = member
              s.buffer[#s.buffer + 1] = entry
            else
              freed[#freed + 1] = { name, member }
            end
          end
        else
          s.buffer = unheld(name, fresh(name, step), redis.call('EXISTS', P .. 'free:' .. name) == 1)
          s.read = #s.buffer > 0 and s.buffer[#s.buffer][1] or s.read
          s.over = #s.buffer == 0
        end
      end
      local entry = s.buffer[s.at]
      if entry and s.looked ~= entry then
        s.looked, s.age = entry, pad(entry[1])
      end
      return entry
    end
    function s.move()
      local entry = s.buffer[s.at]
      s.at = s.at + 1
      if entry.member then
        freed[#freed + 1] = { name, entry.member }
      else
        s.last = entry[1]
      end
      take(name, entry)
    end
    function s.close()
      if s.read and s.read ~= s.last then
        redis.call('XGROUP', 'SETID', stream(name), 'workers', s.last or s.start)
      end
    end
    return s
  end

  local sources, ends = {}, false
  for _, name in ipairs(names) do sources[#sources + 1] = source(name) end
  local step = math.max(1, math.ceil((limit - taken) / #sources))
  while taken < limit and not ends do
    local first
    for _, s in ipairs(sources) do
      local head = s.head(step)
      if head and (not first or s.age < first.age) then first = s end
    end
    if not first then break end
    local entry = first.name .. '/' .. first.buffer[first.at][1]
    local crashed = any_crashed and tonumber(redis.call('HGET', P .. 'crashes', entry) or '0') or 0
    ends = crashed >= alone_after
    if not (ends and taken > 0) then
      if crashed > 0 then
        crashes[#crashes + 1] = entry
        crashes[#crashes + 1] = crashed
      end
      first.move()
    end
  end
  for _, s in ipairs(sources) do s.close() end
  return ends
end

local topics = {}
for i = 7, #ARGV, 5 do topics[#topics + 1] = ARGV[i] end
local masks = values_of('HMGET', P .. 'topics', topics)

local function names_in(rank, all)
  local names = {}
  for place, topic in ipairs(topics) do
    local mask, name = tonumber(masks[place] or '0'), ARGV[7 + (place - 1) * 5 + 1 + rank]
    if math.floor(mask / 2 ^ rank) % 2 == 1 then
      names[#names + 1] = name
    elseif all and redis.call('EXISTS', stream(name)) == 1 then
      -- Foreign producers write to streams of which nobody told us.
      register(topic, rank, name)
      names[#names + 1] = name
    end
  end
  return names
end

local function claim(all)
  for rank = 0, 3 do
    if taken >= limit then return end
    local names = names_in(rank, all or rank == 2)
    if #names == 1 and redis.call('EXISTS', P .. 'crashes', P .. 'free:' .. names[1]) == 0 then
      local entries = take_all(names[1], limit - taken)
      if #entries > 0 then runs[#runs + 1] = { names[1], entries } end
      taken = taken + #entries
    elseif #names > 0 and merge(names) then
      return
    end
  end
end

claim(false)
if taken == 0 and listens then claim(true) end

bulk('HSET', P .. 'lease', leases)
for name, count in pairs(counts) do redis.call('HINCRBY', P .. 'held', name, count) end
for _, each in ipairs(freed) do redis.call('ZREM', P .. 'free:' .. each[1], each[2]) end
if taken > 0 or not listens then return { runs, crashes, {} } end

local last = redis.call('XREVRANGE', P .. 'bell', '+', '-', 'COUNT', 1)[1]
local streams = { P .. 'bell', last and last[1] or '0-0' }
for i = 7, #ARGV, 5 do
  for rank = 0, 3 do
    local key = stream(ARGV[i + 1 + rank])
    local kind = redis.call('TYPE', key).ok
    if kind == 'stream' or kind == 'none' then -- else whoever waits would only hear that it is none
      streams[#streams + 1] = key
      streams[#streams + 1] = delivered(ARGV[i + 1 + rank])
    end
  end
end
return { runs, crashes, streams }
