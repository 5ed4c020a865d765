-- Decides over all shared limits of one step of a request at once: all pass and are spent, or none is.
--
-- KEYS[1]: the epoch. Then for each limit its key; for one that counts requests at once also the two of its line.
-- ARGV[1..3]: the run of the store, as the caller knows it; the name of the request; how long a seat is its own without being
-- asked for again. Then nine for each limit: what it is (`rate`, `debt` or `seat`); whether what is lost counts as spent;
-- how long the request may wait; the least that the caller knows to be spent; what gives back a burst; how far ahead its key can
-- be; what has to be left, or how many seats there are; and what is taken, at least and at most. Times are microseconds.
--
-- The state of a rate is the moment at which its key will have its whole burst again, and the epoch it was written in. Where
-- what is lost counts as spent, a store that began anew (FLUSHALL, a restart, another primary) knows nothing of before: every
-- key is taken to have spent its burst at that moment, and has it back in its own time; and nobody is given a seat before
-- everybody who is in one has had the time to say so.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local epoch = redis.call('GET', KEYS[1]) or ''
local run, begun = string.match(epoch, '^(%w+) (%d+)$')
-- One that begins later than now was begun by a clock that has gone back since.
if run ~= ARGV[1] or tonumber(begun) > now then
  begun = string.format('%.0f', now)
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. begun)
end
local since = tonumber(begun)
local id, lease = ARGV[2], tonumber(ARGV[3])

-- Who stands in line says so again within this time, or has left it.
local STALE = 3000000
local LONGEST = 1000
-- The longest lease there is: other replicas may have another.
local LONGEST_LEASE = 300000000

local refused, lines = false, false
local claims, out = {}, {}
local k = 2
for at = 4, #ARGV, 9 do
  local claim = {
    kind = ARGV[at], patience = tonumber(ARGV[at + 2]), key = KEYS[k],
    least = tonumber(ARGV[at + 7]), most = tonumber(ARGV[at + 8]),
  }
  local strict, floor = ARGV[at + 1] == '1', tonumber(ARGV[at + 3])
  local full, ceiling, need = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  claims[#claims + 1] = claim
  if claim.kind == 'seat' then
    claim.line, claim.seen = KEYS[k + 1], KEYS[k + 2]
    k = k + 3
    redis.call('ZREMRANGEBYSCORE', claim.key, '-inf', now)
    -- Of a clock that has gone back: nobody is in a seat for longer without saying so.
    local most = string.format('%.0f', now + LONGEST_LEASE)
    for _, ahead in ipairs(redis.call('ZRANGEBYSCORE', claim.key, '(' .. most, '+inf')) do
      redis.call('ZADD', claim.key, most, ahead)
    end
    local free = need - redis.call('ZCARD', claim.key)
    local pause = 0
    if strict and since + lease > now then
      free = math.min(free, 0)
      pause = since + lease - now
    end
    for _, gone in ipairs(redis.call('ZRANGEBYSCORE', claim.seen, '-inf', now - STALE)) do
      redis.call('ZREM', claim.line, gone)
      redis.call('ZREM', claim.seen, gone)
    end
    local length = redis.call('ZCARD', claim.line)
    local ahead = redis.call('ZRANK', claim.line, id)
    local known = ahead ~= false
    ahead = ahead or length
    if ahead < free then
      out[#out + 1] = { 0, free - 1, 0 }
    else
      if claim.patience > 0 and (known or length < LONGEST) then lines = true else refused = true end
      out[#out + 1] = { math.max(pause, 1000000), 0, 0 }
    end
  else
    k = k + 1
    local state, of = string.match(redis.call('GET', claim.key) or '', '^(%d+) (%d+)$')
    local spent = tonumber(state) or 0
    if of ~= begun and strict then
      spent = math.max(spent, since + full)
      -- The caller has seen it spend, and it has not come back: somebody took it away.
      if floor > now then spent = math.max(spent, now + full) end
    end
    spent = math.max(spent, floor)
    -- A clock that went back must not refuse for ever: from here on it is as far as a key can be, and comes back.
    if spent > now + ceiling then spent, claim.furthest = now + ceiling, now + ceiling end
    local base = math.max(spent, now)
    local wait
    if claim.kind == 'debt' then
      -- It may go on while less than a whole burst is owed, and takes more at once only where that is not owed.
      wait = math.max(base - now - 2 * full + 1, 0)
      claim.take = (base - now + claim.most <= full) and claim.most or claim.least
    else
      wait = math.max(base + need - now - full, 0)
      claim.take = claim.least
    end
    if wait > claim.patience then refused = true end
    claim.next = base + claim.take
    local left = claim.kind == 'debt' and claim.take or math.max(full - (claim.next - now), 0)
    out[#out + 1] = { wait, left, claim.next }
  end
end

for _, claim in ipairs(claims) do
  if claim.kind == 'seat' then
    if lines and not refused then
      redis.call('ZADD', claim.line, 'NX', now, id)
      redis.call('ZADD', claim.seen, now, id)
      redis.call('PEXPIRE', claim.line, STALE / 1000)
      redis.call('PEXPIRE', claim.seen, STALE / 1000)
    else
      redis.call('ZREM', claim.line, id)
      redis.call('ZREM', claim.seen, id)
    end
  end
end
local function keep(claim, state)
  redis.call('SET', claim.key, string.format('%.0f', state) .. ' ' .. begun, 'PX', math.ceil((state - now) / 1000) + 1000)
end
if refused or lines then
  for _, claim in ipairs(claims) do
    if claim.furthest then keep(claim, claim.furthest) end
  end
  return { refused and 0 or 2, now, out }
end
for _, claim in ipairs(claims) do
  if claim.kind == 'seat' then
    redis.call('ZADD', claim.key, now + lease, id)
    redis.call('PEXPIRE', claim.key, LONGEST_LEASE / 1000 + 1000)
  elseif claim.take > 0 then
    keep(claim, claim.next)
  end
end
return { 1, now, out }
