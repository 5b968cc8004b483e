-- Take over what a foreign reader left pending for longer than the caller allows.
--
-- Keys beside {ns}:state: lease, held, crashes, topic:<name>.
-- ARGV[3] lease to write; ARGV[4] name, id, consumer and deliveries as seen, ...
-- Returns {[[name, entries], ...], [entry, crashes, ...], []}.
local runs, crashes, counts = {}, {}, {}
for i = 4, #ARGV, 4 do
  local name, id = ARGV[i], ARGV[i + 1]
  local pending = redis.call('XPENDING', stream(name), 'workers', id, id, 1)[1]
  if pending and pending[2] == ARGV[i + 2] and pending[4] == tonumber(ARGV[i + 3]) then
    local found = redis.call('XRANGE', stream(name), id, id)[1]
    local entry = name .. '/' .. id
    if found then
      redis.call('HSET', P .. 'lease', entry, ARGV[3])
      redis.call('HINCRBY', P .. 'held', name, 1)
      runs[#runs + 1] = { name, { found } }
      crashes[#crashes + 1] = entry
      crashes[#crashes + 1] = redis.call('HINCRBY', P .. 'crashes', entry, 1)
    end
    redis.call('XACK', stream(name), 'workers', id)
  end
end
return { runs, crashes, {} }
