-- Every topic at a glance.
--
-- Keys beside {ns}:state: topics, topic:<name>, free:<name>, held, later:count. Nothing is written.
-- ARGV[3] topic and the names of its bands, highest first, ...
-- Returns [topic, waiting, running, later, [id, at] of the oldest that waits or false], ...; false when a topic came up
-- since its caller asked for their names: what moved there from another one would be in neither.
local function older(a, b)
  return not b or pad(a[1]) < pad(b[1])
end

local named = {}
for i = 3, #ARGV, 5 do named[ARGV[i]] = true end
for _, topic in ipairs(redis.call('HKEYS', P .. 'topics')) do
  if not named[topic] then return false end
end
local told = {}
for i = 3, #ARGV, 5 do
  local waiting, running, oldest = 0, 0, false
  for rank = 0, 3 do
    local name = ARGV[i + 1 + rank]
    if redis.call('TYPE', stream(name)).ok == 'stream' then
      local group = group_of(name) or { pending = 0, ['last-delivered-id'] = '0-0' }
      local busy = tonumber(redis.call('HGET', P .. 'held', name) or '0') + group.pending
      local here = math.max(redis.call('XLEN', stream(name)) - busy, 0)
      waiting, running = waiting + here, running + busy
      if here > 0 then
        local member = redis.call('ZRANGE', P .. 'free:' .. name, 0, 0)[1]
        local from = member and unpad(member) or '(' .. group['last-delivered-id']
        local first = redis.call('XRANGE', stream(name), from, '+', 'COUNT', 1)[1]
        if first then
          local at = ''
          for f = 1, #first[2], 2 do
            if first[2][f] == 'at' then at = first[2][f + 1] end
          end
          if older(first, oldest) then oldest = { first[1], at } end
        end
      end
    end
  end
  local later = tonumber(redis.call('HGET', P .. 'later:count', ARGV[i]) or '0')
  told[#told + 1] = { ARGV[i], waiting, running, later, oldest }
end
return told
