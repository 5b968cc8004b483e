-- Keep a sign of life.
--
-- Keys beside {ns}:state: beat.
-- ARGV[3] consumer, ARGV[4] what it tells
-- Returns nothing.
redis.call('HSET', P .. 'beat', ARGV[3], ARGV[4])
return false
