-- Count an event in every window of a limit, unless one of them is full. Times are in seconds.
-- KEYS: for each window a sorted set of what was counted, by when.
-- ARGV: JSON with mode ('hit': count unless a window is full; 'count': count where there is room;
--       'check': count nothing), event (its name: an event that was counted is not counted again),
--       windows (list of {quota, seconds}).
-- Returns {1 if no window was full, else 0, for each window: room left, time until the oldest
--   counted leaves it}.
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')  -- one clock for all processes
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local full, any_full = {}, false
for i, window in ipairs(args.windows) do
    -- What is exactly as old as the window still counts.
    local over = string.format('(%.6f', now - window.seconds)
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', over)
    local known = args.event and redis.call('ZSCORE', KEYS[i], args.event)
    full[i] = not known and redis.call('ZCARD', KEYS[i]) >= window.quota
    any_full = any_full or full[i]
end
for i, window in ipairs(args.windows) do
    if (args.mode == 'hit' and not any_full) or (args.mode == 'count' and not full[i]) then
        redis.call('ZADD', KEYS[i], 'NX', string.format('%.6f', now), args.event)
        redis.call('EXPIRE', KEYS[i], window.seconds)
    end
end
local answer = {any_full and 0 or 1}
for i, window in ipairs(args.windows) do
    local oldest = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')[2] or now
    answer[#answer + 1] = window.quota - redis.call('ZCARD', KEYS[i])
    answer[#answer + 1] = string.format('%.6f', oldest + window.seconds - now)
end
return answer
