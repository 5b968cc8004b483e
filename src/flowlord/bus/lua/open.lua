-- Make the bus what it must be, or learn what it is.
--
-- KEYS[1]  {ns}:state        and beside it {ns}:lease and {ns}:commits
-- ARGV[1]  {ns}:     ARGV[2]  a generation for a bus that has none     ARGV[3]  the format that the caller writes
-- Returns {generation, format}.
redis.call('HSETNX', KEYS[1], 'generation', ARGV[2])
redis.call('HSETNX', KEYS[1], 'format', ARGV[3])
-- Redis keeps a small hash as a list that is searched from its beginning, and leases and the names of commits come and
-- go by hundreds. One long value makes a table of each for good.
for _, name in ipairs({ 'lease', 'commits' }) do redis.call('HSETNX', ARGV[1] .. name, '', string.rep('-', 256)) end
return redis.call('HMGET', KEYS[1], 'generation', 'format')
