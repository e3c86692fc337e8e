-- Keep a new challenge, and end the older one of the same account and app.
-- KEYS: challenge, and, if the account is known, what names its open challenge in this app.
-- ARGV: JSON with name, challenges (prefix of challenge keys), fields, ttl (ms).
local args = cjson.decode(ARGV[1])
local challenge, open = KEYS[1], KEYS[2]
if open then
    local older = redis.call('GET', open)
    if older then
        redis.call('DEL', args.challenges .. older)
    end
    redis.call('SET', open, args.name, 'PX', args.ttl)
end
for name, value in pairs(args.fields) do
    redis.call('HSET', challenge, name, value)
end
redis.call('PEXPIRE', challenge, args.ttl)
return 1
