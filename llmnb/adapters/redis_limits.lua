-- One word of a process to the limits it shares: I am here, this much I have used, this much I want.
--
-- All limits are looked at before any is touched: everything wanted is given, or nothing.
-- Times are whole microseconds of this server's clock. Lua would write them with 14 digits
-- only, so they are always written by text().
--
-- KEYS, three for each limit: its state, its members by when they last spoke, what each has counted.
-- ARGV: mode (1 join, 0 only look, -1 leave), member, horizon, lifetime, gap, pause, returning;
-- then for each limit: cost, lead, past (how far back is given), period, counted before, counted now.
-- Reply: now, wait (0: given), then for each limit: begin of what is given, members alive,
-- begin of the current period, count in it.

local function text(number)
  return string.format('%.0f', number)
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local mode, member = tonumber(ARGV[1]), ARGV[2]
local horizon, lifetime = tonumber(ARGV[3]), tonumber(ARGV[4])
local gap, pause, returning = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1'

-- Whether this server has only just begun: others may not know yet, and keep to their shares.
local function is_fresh()
  local ok, about = pcall(redis.call, 'INFO', 'server')
  local uptime = ok and type(about) == 'string' and string.match(about, 'uptime_in_seconds:(%d+)')
  return not uptime or tonumber(uptime) * 1000000 <= pause
end

local function has_others(members)
  local mine = redis.call('ZSCORE', members, member) and 1 or 0
  return redis.call('ZCARD', members) > mine
end

local function argument(limit, position)
  return tonumber(ARGV[7 + (limit - 1) * 6 + position])
end

local limits, wait = {}, 0
for limit = 1, #KEYS / 3 do
  local state, members = KEYS[limit * 3 - 2], KEYS[limit * 3 - 1]
  local kept = redis.call('HMGET', state, 'free', 'seen', 'began', 'count', 'paused')
  local free, seen = tonumber(kept[1]), tonumber(kept[2])
  local began, count = tonumber(kept[3]), tonumber(kept[4]) or 0
  local paused = tonumber(kept[5]) or 0
  if not free then
    -- New or emptied: what was given out ahead may still be in use, so it starts with nothing.
    free = now + (is_fresh() and pause or 2 * horizon)
  else
    if now < seen then -- the clock went back, and everything with it
      local back = seen - now
      free, began, paused = free - back, began and began - back, paused - back
      redis.call('DEL', members)
    end
    -- Processes that could not reach us may still keep to their shares: nothing until they know.
    local was_away = returning or now - seen > gap
    if was_away and now > paused + 2 * pause and has_others(members) then
      paused = now + pause
      free = math.max(free, paused)
    end
  end
  free = math.max(free, now - argument(limit, 3))
  local cost = argument(limit, 1)
  if cost > 0 then
    wait = math.max(wait, free + argument(limit, 2) - now - horizon)
  end
  limits[limit] = { free = free, began = began, count = count, paused = paused, cost = cost }
end

local reply = { text(now), text(wait) }
for limit, one in ipairs(limits) do
  local state, members, told = KEYS[limit * 3 - 2], KEYS[limit * 3 - 1], KEYS[limit * 3]
  local begin = one.free
  if one.cost < 0 or wait <= 0 then
    one.free = math.max(one.free + one.cost, now - argument(limit, 3))
  end
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', members, '-inf', text(now - lifetime))) do
    redis.call('ZREM', members, gone)
    redis.call('HDEL', told, gone)
  end
  if mode == 1 then
    redis.call('ZADD', members, text(now), member)
  end
  -- Sums, not additions: a word that is said twice is counted once.
  local before = tonumber(redis.call('HGET', told, member) or argument(limit, 5))
  local added, period = argument(limit, 6) - before, argument(limit, 4)
  if one.began and (now >= one.began + period or now < one.began) then
    one.began, one.count = nil, 0
  end
  if added ~= 0 then
    redis.call('HSET', told, member, text(argument(limit, 6)))
    if added > 0 and not one.began then
      one.began = now
    end
    one.count = one.began and math.max(0, one.count + added) or 0
  end
  if mode == -1 then
    redis.call('ZREM', members, member)
    redis.call('HDEL', told, member)
  end
  redis.call('HSET', state, 'free', text(one.free), 'seen', text(now),
    'count', text(one.count), 'paused', text(one.paused))
  if one.began then
    redis.call('HSET', state, 'began', text(one.began))
  else
    redis.call('HDEL', state, 'began')
  end
  local kept = text((math.max(0, one.free - now) + period) / 1000 + 60000)
  redis.call('PEXPIRE', state, kept)
  redis.call('PEXPIRE', members, kept)
  redis.call('PEXPIRE', told, kept)
  reply[#reply + 1] = text(begin)
  reply[#reply + 1] = text(redis.call('ZCARD', members))
  reply[#reply + 1] = text(one.began or 0)
  reply[#reply + 1] = text(one.count)
end
return reply
