-- Find the jobs whose time to be looked at has come and that no worker holds; each for one caller.
-- KEYS: open jobs. ARGV: JSON with jobs (prefix of job keys), limit, look_after (ms): when to
--   look at them again. Returns job id, kind, job id, kind...
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local open = KEYS[1]
local unheld = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', open, '-inf', now, 'LIMIT', 0, args.limit)) do
    local state = redis.pcall('HMGET', args.jobs .. id, 'status', 'kind')  -- fails for other keys
    if state[1] == 'queued' or state[1] == 'running' then
        redis.call('ZADD', open, now + args.look_after, id)
        if redis.call('EXISTS', args.jobs .. id .. ':lease') == 0 then
            unheld[#unheld + 1] = id
            unheld[#unheld + 1] = state[2]
        end
    else
        redis.call('ZREM', open, id)
    end
end
return unheld
