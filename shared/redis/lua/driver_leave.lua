-- End a probe that showed nothing. KEYS: probe. ARGV: JSON with token.
local args = cjson.decode(ARGV[1])
if redis.call('GET', KEYS[1]) == args.token then
    redis.call('DEL', KEYS[1])
end
