-- Claim a job for one worker, unless another one holds it, and begin its first stage.
-- KEYS: job, lease, input, open jobs.
-- ARGV: JSON with job_id, owner, channel; lease, look_after (when to look for its message) and
--   open_ttl (ms); stages (of kinds: the first).
-- Returns {'gone'} | {'ended'} | {'unknown'} (a newer version's kind) | {'busy'}
--   | {'claimed', kind, runs, input or '', progress or '', origin, hash of the poll token, now (ms),
--   1 if it is cancelled}.
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local job, lease, input, open = unpack(KEYS)
local status = redis.call('HGET', job, 'status')
if status ~= 'queued' and status ~= 'running' then
    redis.call('ZREM', open, args.job_id)
    return {status and 'ended' or 'gone'}
end
if not args.stages[redis.call('HGET', job, 'kind')] then
    return {'unknown'}
end
local holder = redis.call('GET', lease)
if holder and holder ~= args.owner then
    return {'busy'}
end
redis.call('SET', lease, args.owner, 'PX', args.lease)
if not holder then
    redis.call('HINCRBY', job, 'runs', 1)
end
redis.call('HSET', job, 'status', 'running', 'owner', args.owner)
redis.call('ZADD', open, now + args.look_after, args.job_id)
redis.call('PEXPIRE', open, args.open_ttl)
local queued = redis.call('HGET', job, 'queued')
if queued then
    redis.call('ZREM', queued, args.job_id)
end
local state = redis.call(
    'HMGET', job, 'kind', 'runs', 'progress', 'origin', 'poll_hash', 'cancelled')
if not state[3] then
    redis.call('HSET', job, 'stage', args.stages[state[1]])
end
redis.call('PUBLISH', args.channel, args.job_id)
local sealed = redis.call('GET', input) or ''
return {'claimed', state[1], state[2], sealed, state[3] or '', state[4] or '{}', state[5] or '',
    now, state[6] and 1 or 0}
