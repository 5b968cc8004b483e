-- Look through a part of what waits for its time.
--
-- Keys beside {ns}:state: later, delayed. Nothing is written.
-- ARGV[3] cursor of HSCAN, ARGV[4] how many to look at, ARGV[5] `topic` or `key`, ARGV[6] set that has those, else
-- one of them, ...
-- Returns {cursor, [member, due, name, key, about, payload, at, topic, crashes, ...]}.
local by_topic, wanted = ARGV[5] == 'topic', {}
for i = 7, #ARGV do wanted[ARGV[i]] = true end
local found = {}
local scanned = redis.call('HSCAN', P .. 'delayed', ARGV[3], 'COUNT', ARGV[4])
for i = 1, #scanned[2], 2 do
  local name, key, about, payload, at, topic, crashes = unpack(cmsgpack.unpack(scanned[2][i + 1]))
  local this = by_topic and topic or key
  if wanted[this] or ARGV[6] ~= '' and redis.call('SISMEMBER', P .. ARGV[6], this) == 1 then
    local due = redis.call('ZSCORE', P .. 'later', scanned[2][i])
    for _, value in ipairs({ scanned[2][i], due or '0', name, key, about, payload, at, topic, crashes }) do
      found[#found + 1] = value
    end
  end
end
return { scanned[1], found }
