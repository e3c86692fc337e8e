-- Count something in every window of a limit, unless one of them is full. Times are in seconds.
-- KEYS: for each window a list of when something was counted, newest first (as `limits` keeps it).
-- ARGV: JSON with mode ('hit': count unless a window is full; 'count': count where there is room;
--       'check': count nothing), windows (list of {quota, seconds}).
-- Returns {1 if no window was full, else 0, for each window: room left, time until the oldest
--   counted leaves it}.
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')  -- one clock for all processes
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local full, any_full = {}, false
for i, window in ipairs(args.windows) do
    local last = redis.call('LINDEX', KEYS[i], window.quota - 1)
    full[i] = last and tonumber(last) >= now - window.seconds
    any_full = any_full or full[i]
end
for i, window in ipairs(args.windows) do
    if (args.mode == 'hit' and not any_full) or (args.mode == 'count' and not full[i]) then
        redis.call('LPUSH', KEYS[i], string.format('%.6f', now))
        redis.call('LTRIM', KEYS[i], 0, window.quota - 1)
        redis.call('EXPIRE', KEYS[i], window.seconds)
    end
end
local answer = {any_full and 0 or 1}
for i, window in ipairs(args.windows) do
    local counted, low, high = 0, 0, window.quota - 1
    while low <= high do
        local middle = math.floor((low + high) / 2)
        local at = tonumber(redis.call('LINDEX', KEYS[i], middle) or nil)
        if at and at >= now - window.seconds then
            counted, low = middle + 1, middle + 1
        else
            high = middle - 1
        end
    end
    local oldest = counted > 0 and tonumber(redis.call('LINDEX', KEYS[i], counted - 1)) or now
    answer[#answer + 1] = window.quota - counted
    answer[#answer + 1] = string.format('%.6f', oldest + window.seconds - now)
end
return answer
