-- Delete what foreign readers acknowledged and left lying: handed out, held by nobody, and not given back.
--
-- Keys beside {ns}:state: topic:<name>, lease, free:<name>.
-- ARGV[3] name, ARGV[4] from id, ARGV[5] how many to look at
-- Returns {next id or false, how many went}.
local name, gone = ARGV[3], {}
if redis.call('TYPE', stream(name)).ok ~= 'stream' then return { false, 0 } end
local last = delivered(name)
if last == '0-0' then return { false, 0 } end
local readers = redis.call('XINFO', 'CONSUMERS', stream(name), 'workers')
if #readers == 0 or (#readers == 1 and readers[1][2] == 'flowlord') then return { false, 0 } end
local entries = redis.call('XRANGE', stream(name), ARGV[4], last, 'COUNT', ARGV[5])
for _, entry in ipairs(entries) do
  local id = entry[1]
  if redis.call('HEXISTS', P .. 'lease', name .. '/' .. id) == 0
    and not redis.call('ZSCORE', P .. 'free:' .. name, pad(id))
    and #redis.call('XPENDING', stream(name), 'workers', id, id, 1) == 0 then
    gone[#gone + 1] = name .. '/' .. id
  end
end
erase(gone, by_name(gone))
return { #entries == tonumber(ARGV[5]) and '(' .. entries[#entries][1], #gone }
