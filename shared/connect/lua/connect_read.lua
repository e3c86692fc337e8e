-- Read a session. KEYS: session. Returns {what is sealed, or '', the time in ms}.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return {redis.call('GET', KEYS[1]) or '', now}
