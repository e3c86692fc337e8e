-- Takes back a job that no worker has seen. KEYS: job, input. Returns 1, or 0 if one has.
local status = redis.call('HGET', KEYS[1], 'status')
if status and status ~= 'queued' then
    return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
