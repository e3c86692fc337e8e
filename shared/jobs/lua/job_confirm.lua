-- Says that a job's message was sent, so that nobody takes the job back. KEYS: job.
-- Returns 1, or 0 if it was taken back already.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return 0
end
redis.call('HSET', KEYS[1], 'sent', 1)
return 1
