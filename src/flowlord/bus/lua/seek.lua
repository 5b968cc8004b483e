-- Look through a part of a stream for dispatch keys.
--
-- Keys beside {ns}:state: topic:<name>, lease, free:<name>, crashes. Nothing is written.
-- ARGV[3] name, ARGV[4] from id, ARGV[5] how many to look at, ARGV[6] set that has the keys, else key, ...
-- Returns {next id or false, [[id, fields], lease or false, crashes, 1 when it waits, ...]}.
local name, wanted = ARGV[3], {}
for i = 7, #ARGV do wanted[ARGV[i]] = true end
if redis.call('TYPE', stream(name)).ok ~= 'stream' then return { false, {} } end
local last = pad(delivered(name))
local entries = redis.call('XRANGE', stream(name), ARGV[4], '+', 'COUNT', ARGV[5])
local found, keys = {}, {}
for at, entry in ipairs(entries) do
  keys[at] = ''
  for f = 1, #entry[2], 2 do
    if entry[2][f] == 'key' then keys[at] = entry[2][f + 1] end
  end
end
if ARGV[6] ~= '' then
  for key, is_in in pairs(fetch('SMISMEMBER', P .. ARGV[6], keys)) do wanted[key] = is_in == 1 end
end
for at, entry in ipairs(entries) do
  if wanted[keys[at]] then
    local field = name .. '/' .. entry[1]
    local lease = redis.call('HGET', P .. 'lease', field)
    local waits = not lease
      and (pad(entry[1]) > last or redis.call('ZSCORE', P .. 'free:' .. name, pad(entry[1]))) and 1 or 0
    found[#found + 1] = entry
    found[#found + 1] = lease
    found[#found + 1] = tonumber(redis.call('HGET', P .. 'crashes', field) or '0')
    found[#found + 1] = waits
  end
end
local more = #entries == tonumber(ARGV[5]) and '(' .. entries[#entries][1]
return { more, found }
