-- Whether nobody has a job, and its message was sent so long ago that nobody can have that either.
-- KEYS: job, lease. ARGV: now and that time, in ms. Returns 1, once in that time, or 0.
-- A job that waits for the database has a message that waits with it.
local job = redis.call('HMGET', KEYS[1], 'status', 'stage', 'sent_at')
if (job[1] ~= 'queued' and job[1] ~= 'running') or job[2] == 'storing' then
    return 0
end
if redis.call('EXISTS', KEYS[2]) == 1 then
    return 0
end
if tonumber(job[3] or '0') + tonumber(ARGV[2]) > tonumber(ARGV[1]) then
    return 0
end
redis.call('HSET', KEYS[1], 'sent_at', ARGV[1])
return 1
