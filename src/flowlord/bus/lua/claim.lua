-- Lease waiting messages: higher bands first, then by arrival; what was given back goes before what is new.
--
-- Keys beside {ns}:state: topics, topic:<name>, free:<name>, lease, held, crashes, bell.
--
-- The group's pending list is not used (NOACK): the lease, written in this same step, is the record of who has what.
-- So nothing is pending for a consumer that is gone, and what is pending there belongs to foreign readers.
--
-- ARGV[3] lease to write   ARGV[4] limit   ARGV[5] 1 when the caller would wait   ARGV[6] crashes that isolate
-- ARGV[7] for each topic: topic and the names of its bands, highest first
-- Returns {[[name, entries], ...], [entry, crashes, ...], [stream, id, ...] to listen on when nothing was found}.
local lease, limit, listens, alone_after = ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])

-- A group that was set back hands out again what somebody holds, or what was given back.
local function unheld(name, entries)
  local has_free = redis.call('EXISTS', P .. 'free:' .. name) == 1
  if not has_free and tonumber(redis.call('HGET', P .. 'held', name) or '0') <= 0 then return entries end
  local fields, left = {}, {}
  for i, entry in ipairs(entries) do fields[i] = name .. '/' .. entry[1] end
  local held = fetch('HMGET', P .. 'lease', fields)
  for i, entry in ipairs(entries) do
    if not held[fields[i]] and not (has_free and redis.call('ZSCORE', P .. 'free:' .. name, pad(entry[1]))) then
      left[#left + 1] = entry
    end
  end
  return left
end

local function fresh(name, count)
  local key = stream(name)
  local got = redis.pcall('XREADGROUP', 'GROUP', 'workers', 'flowlord', 'COUNT', count, 'NOACK', 'STREAMS', key, '>')
  if got and got.err then
    -- A stream that nobody claimed from: from its beginning. A key that is no stream has nothing for us.
    if redis.call('TYPE', key).ok ~= 'stream' then return {} end
    redis.call('XGROUP', 'CREATE', key, 'workers', '0')
    got = redis.call('XREADGROUP', 'GROUP', 'workers', 'flowlord', 'COUNT', count, 'NOACK', 'STREAMS', key, '>')
  end
  return got and unheld(name, got[1][2]) or {}
end

local any_crashed = redis.call('EXISTS', P .. 'crashes') == 1
local runs, leases, counts, crashes, freed = {}, {}, {}, {}, {}
local taken = 0

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

-- The same for all that was read of one stream.
local function take_all(name, entries)
  if #entries == 0 then return end
  local head, size = name .. '/', #leases
  for i, entry in ipairs(entries) do
    leases[size + 2 * i - 1] = head .. entry[1]
    leases[size + 2 * i] = lease
  end
  runs[#runs + 1] = { name, entries }
  counts[name] = (counts[name] or 0) + #entries
  taken = taken + #entries
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
        s.buffer = fresh(name, step)
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

-- Returns whether the claim is over: what is likely poison comes alone.
local function merge(names)
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
local masks = fetch('HMGET', P .. 'topics', topics)

local function names_in(rank, all)
  local names = {}
  for place, topic in ipairs(topics) do
    local mask, name = tonumber(masks[topic] or '0'), ARGV[7 + (place - 1) * 5 + 1 + rank]
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
    if #names == 1 and not any_crashed and redis.call('EXISTS', P .. 'free:' .. names[1]) == 0 then
      take_all(names[1], fresh(names[1], limit - taken))
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
