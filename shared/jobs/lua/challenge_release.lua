-- End a job's reservation with no verdict on the code. KEYS: challenge. ARGV: JSON with job_id.
-- Returns the attempts left; -1 if the challenge is gone or no longer this job's.
local args = cjson.decode(ARGV[1])
if redis.call('HGET', KEYS[1], 'job') ~= args.job_id then
    return -1
end
redis.call('HDEL', KEYS[1], 'reserved_until')
return tonumber(redis.call('HGET', KEYS[1], 'attempts_left'))
