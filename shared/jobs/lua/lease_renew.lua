-- Renew a lease, if the job is still the caller's to run.
-- A lease that ran out while Redis was away is taken up again, unless another worker was faster.
-- KEYS: lease, job. ARGV: JSON with owner, lease (ms). Returns 1, or 0 if it no longer is.
local args = cjson.decode(ARGV[1])
local lease, job = KEYS[1], KEYS[2]
local state = redis.call('HMGET', job, 'owner', 'status')
if state[1] ~= args.owner or state[2] ~= 'running' then
    return 0
end
redis.call('SET', lease, args.owner, 'PX', args.lease)
return 1
