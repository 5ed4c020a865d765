-- Says of seats that somebody is still in them.
--
-- KEYS[1]: the epoch. KEYS[2..]: the key of each seat. ARGV[1..2]: the run of the store, as the caller knows it; how long a seat
-- is its own from here on, in microseconds. Then two for each seat: the name of the request, and how many seats its key has, or -1
-- where it goes on whatever others have. Returns a letter for each: `k` for one that was known, `n` for one that was not and is now,
-- `l` for one that is lost.
--
-- A seat that is not known was free meanwhile, and others may have it: it is lost unless there is one. In a new epoch it is what
-- the store lost, as nobody has been given one yet.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local run, begun = string.match(redis.call('GET', KEYS[1]) or '', '^(%w+) (%d+)$')
if run ~= ARGV[1] or tonumber(begun) > now then
  begun = string.format('%.0f', now)
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. begun)
end
local lease = tonumber(ARGV[2])
local anew = tonumber(begun) + lease > now
-- The longest lease there is, in milliseconds: other replicas may have another.
local LONGEST_LEASE = 300000

local said = {}
for i = 2, #KEYS do
  local key, id, seats = KEYS[i], ARGV[2 * i - 1], tonumber(ARGV[2 * i])
  local state = 'k'
  if not redis.call('ZRANK', key, id) then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    local free = anew or seats < 0 or redis.call('ZCARD', key) < seats
    state = free and 'n' or 'l'
  end
  if state ~= 'l' then
    redis.call('ZADD', key, now + lease, id)
    redis.call('PEXPIRE', key, LONGEST_LEASE + 1000)
  end
  said[#said + 1] = state
end
return table.concat(said)
