-- Count a request for a token in an app's limit, and if that has room, the token in the audit log.
-- KEYS: those of the limit, then the two of the counted event. ARGV: what each script takes.
-- Returns what the limit's script returns.
local hit = include("shared.redis", "rate_limit")
local count = include("shared.audit", "event_count")
local windows = #KEYS - 2
local answer = hit({unpack(KEYS, 1, windows)}, {ARGV[1]})
if answer[1] == 1 then
    count({KEYS[windows + 1], KEYS[windows + 2]}, {ARGV[2]})
end
return answer
