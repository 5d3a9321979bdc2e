-- What one process states about limits, and what all who were heard of lately state.
--
-- KEYS: one hash, member to when it last spoke and its statements, a line each.
-- ARGV: member, lifetime in microseconds, then the statements of the member; none: it has none.
-- Reply: every statement of others that stands, each once.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local member, lifetime = ARGV[1], tonumber(ARGV[2])

if #ARGV > 2 then
  local said = table.concat(ARGV, '\n', 3)
  redis.call('HSET', KEYS[1], member, string.format('%.0f', now) .. '\n' .. said)
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', lifetime / 1000))
else
  redis.call('HDEL', KEYS[1], member)
end

local found, known = {}, {}
local kept = redis.call('HGETALL', KEYS[1])
for place = 1, #kept, 2 do
  local spoken, said = string.match(kept[place + 1], '^(%d+)\n(.*)$')
  -- A clock that went back makes nobody older; one from the future has no place here.
  if not spoken or math.abs(now - tonumber(spoken)) > lifetime then
    redis.call('HDEL', KEYS[1], kept[place])
  elseif kept[place] ~= member then
    for line in string.gmatch(said, '[^\n]+') do
      if not known[line] then
        known[line] = true
        found[#found + 1] = line
      end
    end
  end
end
return found
