-- Lay down dispatch keys that are looked for, where a part of a stream at a time is compared with them.
--
-- ARGV[3] name of the set, a key of this namespace; ARGV[4] seconds after which it goes by itself; ARGV[5] key, ...
for from = 5, #ARGV, 2000 do redis.call('SADD', P .. ARGV[3], unpack(ARGV, from, math.min(from + 1999, #ARGV))) end
redis.call('EXPIRE', P .. ARGV[3], ARGV[4])
return 0
