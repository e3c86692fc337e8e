-- Renews a lease, if the job is still the caller's to run.
-- KEYS: lease, job. ARGV: owner, lease in ms. Returns 1, or 0 if it no longer is.
-- A lease that ran out while Redis was away is taken up again, unless another worker was faster.
local job = redis.call('HMGET', KEYS[2], 'owner', 'status')
if job[1] ~= ARGV[1] or job[2] ~= 'running' then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
