-- Decides over all shared limits of one step of a request at once: all pass and are spent, or none is.
--
-- KEYS[1]: the epoch. KEYS[2..]: one key for each limit.
-- ARGV[1]: the run of the store, as the caller knows it. Then for each limit: what gives back one request, and what
-- gives back a burst, in microseconds; how long the request may wait for it; the least that the caller knows to be spent; and
-- whether what is lost counts as spent.
--
-- The state of a key is the moment at which it will have its whole burst again, and the epoch it was written in. Where what
-- is lost counts as spent, a store that began anew (FLUSHALL, a restart, another primary) knows nothing of before: every
-- key is taken to have spent its burst at that moment, and has it back in its own time.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local epoch = redis.call('GET', KEYS[1]) or ''
local run, begun = string.match(epoch, '^(%w+) (%d+)$')
if run ~= ARGV[1] then
  begun = string.format('%.0f', now)
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. begun)
end
local since = tonumber(begun)

local refused = false
local out = {}
local next_of = {}
for i = 2, #KEYS do
  local at = 2 + (i - 2) * 5
  local interval, full = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local patience, floor = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local state, of = string.match(redis.call('GET', KEYS[i]) or '', '^(%d+) (%d+)$')
  local spent = tonumber(state) or 0
  if of ~= begun and ARGV[at + 4] == '1' then
    spent = math.max(spent, since + full)
    -- The caller has seen it spend, and it has not come back: somebody took it away.
    if floor > now then spent = math.max(spent, now + full) end
  end
  -- No key is ever further ahead than a burst and what waits; a clock that went back must not refuse for ever.
  spent = math.min(math.max(spent, floor), now + full + patience)
  local base = math.max(spent, now)
  local wait = base + interval - now - full
  if wait > patience then refused = true end
  next_of[i] = base + interval
  out[#out + 1] = { math.max(wait, 0), math.max(math.floor((full - (next_of[i] - now)) / interval), 0), next_of[i] }
end
if refused then
  return { 0, now, out }
end
for i = 2, #KEYS do
  local state = string.format('%.0f', next_of[i])
  redis.call('SET', KEYS[i], state .. ' ' .. begun, 'PX', math.ceil((next_of[i] - now) / 1000) + 1000)
end
return { 1, now, out }
