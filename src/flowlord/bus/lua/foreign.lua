-- What foreign readers took and did not acknowledge: whatever is pending in the group.
--
-- Keys beside {ns}:state: topic:<name>. Nothing is written.
-- ARGV[3] how many of each stream, ARGV[4] name, ...
-- Returns [name, id, consumer, deliveries, ...].
local told = {}
for i = 4, #ARGV do
  local name = ARGV[i]
  local group = redis.call('TYPE', stream(name)).ok == 'stream' and group_of(name)
  if group and group.pending > 0 then
    for _, each in ipairs(redis.call('XPENDING', stream(name), 'workers', '-', '+', ARGV[3])) do
      told[#told + 1] = name
      told[#told + 1] = each[1]
      told[#told + 1] = each[2]
      told[#told + 1] = each[4]
    end
  end
end
return told
