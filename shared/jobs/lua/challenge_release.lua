-- End a job's reservation with no verdict on the code. KEYS: challenge. ARGV: JSON with job_id.
-- Returns what is sealed; nil if the challenge is gone or no longer this job's.
local args = cjson.decode(ARGV[1])
if redis.call('HGET', KEYS[1], 'job') ~= args.job_id then
    return nil
end
redis.call('HDEL', KEYS[1], 'reserved_until')
return redis.call('HGET', KEYS[1], 'pending')
