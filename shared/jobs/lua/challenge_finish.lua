-- Delete a challenge, if it is the job's. KEYS: challenge. ARGV: JSON with job_id. Returns 1 or 0.
local args = cjson.decode(ARGV[1])
if redis.call('HGET', KEYS[1], 'job') == args.job_id then
    return redis.call('DEL', KEYS[1])
end
return 0
