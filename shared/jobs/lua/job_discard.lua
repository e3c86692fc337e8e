-- Takes back a job that no worker has seen and whose message nobody knows to be sent.
-- KEYS: job, input. ARGV: job id. Returns 1, or 0 if it stays.
local job = redis.call('HMGET', KEYS[1], 'status', 'sent', 'account', 'idempotency')
if job[1] and (job[1] ~= 'queued' or job[2]) then
    return 0
end
if job[3] and redis.call('GET', job[3]) == ARGV[1] then
    redis.call('DEL', job[3])
end
if job[4] and redis.call('HGET', job[4], 'job') == ARGV[1] then
    redis.call('DEL', job[4])
end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
