-- What lies on the bands of one topic: handed out, given back, and new.
--
-- Keys beside {ns}:state: topic:<name>, lease, free:<name>, crashes. Nothing is written.
-- ARGV[3] limit of each list, ARGV[4] 1 for the newest first, ARGV[5] highest id to look at or +, ARGV[6] name, ...
-- Returns for each name [name, running, free, fresh]; running = [[id, fields], lease or consumer, crashes, ...],
-- the others [[id, fields], crashes, ...]. `lease` is one of ours, `foreign|<consumer>` somebody else's.
local limit, newest, most = tonumber(ARGV[3]), ARGV[4] == '1', ARGV[5]

local function crashes_of(name, id)
  return tonumber(redis.call('HGET', P .. 'crashes', name .. '/' .. id) or '0')
end

local function list(name, entries)
  local found = {}
  for _, entry in ipairs(entries) do
    found[#found + 1] = entry
    found[#found + 1] = crashes_of(name, entry[1])
  end
  return found
end

local function range(name, from, to, count)
  if newest then return redis.call('XREVRANGE', stream(name), to, from, 'COUNT', count) end
  return redis.call('XRANGE', stream(name), from, to, 'COUNT', count)
end

local function look(name)
  if redis.call('TYPE', stream(name)).ok ~= 'stream' then return { name, {}, {}, {} } end
  local last, free_key = delivered(name), P .. 'free:' .. name
  local freed = redis.call('ZCARD', free_key)
  local running = {}
  for _, entry in ipairs(range(name, '-', last, math.min(limit + freed, 10000))) do
    local id = entry[1]
    if #running < limit * 3 and not redis.call('ZSCORE', free_key, pad(id)) then
      local lease = redis.call('HGET', P .. 'lease', name .. '/' .. id)
      if not lease then
        local pending = redis.pcall('XPENDING', stream(name), 'workers', id, id, 1)
        lease = pending[1] and 'foreign|' .. pending[1][2]
      end
      if lease then
        running[#running + 1] = entry
        running[#running + 1] = lease
        running[#running + 1] = crashes_of(name, id)
      end
    end
  end
  local free = {}
  for _, member in ipairs(redis.call(newest and 'ZREVRANGE' or 'ZRANGE', free_key, 0, limit - 1)) do
    local id = unpad(member)
    free[#free + 1] = redis.call('XRANGE', stream(name), id, id)[1]
  end
  return { name, running, list(name, free), list(name, range(name, '(' .. last, most, limit)) }
end

local told = {}
for i = 6, #ARGV do told[#told + 1] = look(ARGV[i]) end
return told
