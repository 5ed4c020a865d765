-- Says of seats that somebody is still in them.
--
-- KEYS[1]: the epoch. KEYS[2..]: the key of each seat. ARGV[1..2]: the run of the store, as the caller knows it; how long a seat
-- is its own from here on, in microseconds. ARGV[3..]: the name of each request. Returns how many of them were not known.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local run = string.match(redis.call('GET', KEYS[1]) or '', '^(%w+) %d+$')
if run ~= ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. string.format('%.0f', now))
end
local lease = tonumber(ARGV[2])
local missing = 0
for i = 2, #KEYS do
  missing = missing + redis.call('ZADD', KEYS[i], now + lease, ARGV[i + 1])
  redis.call('PEXPIRE', KEYS[i], math.ceil(lease / 1000) + 1000)
end
return missing
