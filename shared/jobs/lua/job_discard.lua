-- Discard a job that no worker has claimed and whose message is not confirmed.
-- KEYS: job, input. ARGV: JSON with job_id. Returns 1, or 0 if it stays.
local args = cjson.decode(ARGV[1])
local job, input = KEYS[1], KEYS[2]
local state = redis.call('HMGET', job, 'status', 'sent', 'account', 'idempotency', 'queued')
local status, sent, account, record, queued = unpack(state)
if status and (status ~= 'queued' or sent) then
    return 0
end
if account and redis.call('GET', account) == args.job_id then
    redis.call('DEL', account)
end
if record and redis.call('HGET', record, 'job') == args.job_id then
    redis.call('DEL', record)
end
if queued then
    redis.call('ZREM', queued, args.job_id)
end
redis.call('DEL', job, input)
return 1
