-- Takes a job for one worker, if nobody holds it.
-- KEYS: job, lease, input. ARGV: owner, lease in ms, channel, job id.
-- Returns {'gone'} | {'ended'} | {'busy'} | {'claimed', kind, runs, input or '', progress or '',
--       origin, hash of the poll token}.
local status = redis.call('HGET', KEYS[1], 'status')
if not status then
    return {'gone'}
end
if status ~= 'queued' and status ~= 'running' then
    return {'ended'}
end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
    return {'busy'}
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
if not holder then
    redis.call('HINCRBY', KEYS[1], 'runs', 1)
end
redis.call('HSET', KEYS[1], 'status', 'running', 'owner', ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[4])
local job = redis.call('HMGET', KEYS[1], 'kind', 'runs', 'progress', 'origin', 'poll_hash')
local input = redis.call('GET', KEYS[3]) or ''
return {'claimed', job[1], job[2], input, job[3] or '', job[4] or '{}', job[5] or ''}
