-- Deletes a challenge, if the job may. KEYS: challenge. ARGV: job id.
if redis.call('HGET', KEYS[1], 'job') == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
