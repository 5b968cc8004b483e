-- Lengthen leases.
--
-- Keys beside {ns}:state: lease.
-- ARGV[3] nanoseconds and name of this renewal, `<ns>|<name>`; ARGV[4] entry, |token, ...
-- Returns the places (from 1) of those that are lost.
local wanted, lost, written = {}, {}, {}
for i = 4, #ARGV, 2 do wanted[#wanted + 1] = ARGV[i] end
local leases = fetch('HMGET', P .. 'lease', wanted)
for i = 4, #ARGV, 2 do
  if owns(leases[ARGV[i]], ARGV[i + 1]) then
    written[#written + 1] = ARGV[i]
    written[#written + 1] = ARGV[3] .. ARGV[i + 1]
  else
    lost[#lost + 1] = (i - 2) / 2
  end
end
bulk('HSET', P .. 'lease', written)
return lost
