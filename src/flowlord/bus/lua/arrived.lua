-- What arrived on the bands of one topic behind a place, in the order of arrival.
--
-- Keys beside {ns}:state: topic:<name>, lease, free:<name>, crashes. Nothing is written.
-- ARGV[3] from id, ARGV[4] until millisecond, ARGV[5] limit of each band, ARGV[6] name, ...
-- Returns name, [[id, fields], lease or `foreign|<consumer>` or false when it waits, crashes, ...], ...
local told = {}
for i = 6, #ARGV do
  local name, found = ARGV[i], {}
  if redis.call('TYPE', stream(name)).ok == 'stream' then
    local last = pad(delivered(name))
    local from, left, over = ARGV[3], tonumber(ARGV[5]), false
    while left > 0 and not over do
      local entries = redis.call('XRANGE', stream(name), from, ARGV[4], 'COUNT', left)
      over = #entries < left
      for _, entry in ipairs(entries) do
        local id = entry[1]
        from = '(' .. id
        local holder = redis.call('HGET', P .. 'lease', name .. '/' .. id)
        local waits = not holder and (pad(id) > last or redis.call('ZSCORE', P .. 'free:' .. name, pad(id)))
        if not holder and not waits then
          local pending = redis.pcall('XPENDING', stream(name), 'workers', id, id, 1)
          holder = pending[1] and 'foreign|' .. pending[1][2]
        end
        if holder or waits then -- else a foreign reader is done with it and left it there
          left = left - 1
          found[#found + 1] = entry
          found[#found + 1] = holder
          found[#found + 1] = tonumber(redis.call('HGET', P .. 'crashes', name .. '/' .. id) or '0')
        end
      end
    end
  end
  told[#told + 1] = name
  told[#told + 1] = found
end
return told
