-- Take over leases that the caller saw unchanged for their whole length.
--
-- Keys beside {ns}:state: lease, held, crashes, topic:<name>.
-- ARGV[3] lease to write; ARGV[4] entry, lease seen, 1 when that hold was a start, ...
-- Returns {[[name, entries], ...], [entry, crashes, ...], [entry whose message is gone, ...]}.
local runs, crashes, ghosts = {}, {}, {}
for i = 4, #ARGV, 3 do
  local entry = ARGV[i]
  if redis.call('HGET', P .. 'lease', entry) == ARGV[i + 1] then
    local name, id = split(entry)
    local found = redis.call('XRANGE', stream(name), id, id)[1]
    if found then
      redis.call('HSET', P .. 'lease', entry, ARGV[3])
      local count = ARGV[i + 2] == '1' and redis.call('HINCRBY', P .. 'crashes', entry, 1)
        or tonumber(redis.call('HGET', P .. 'crashes', entry) or '0')
      runs[#runs + 1] = { name, { found } }
      crashes[#crashes + 1] = entry
      crashes[#crashes + 1] = count
    else
      ghosts[#ghosts + 1] = entry
    end
  end
end
local ids = by_name(ghosts)
let_go(ghosts, ids)
erase(ghosts, ids)
return { runs, crashes, ghosts }
