-- Renews a lease, if it is still the caller's. KEYS: lease. ARGV: owner, lease in ms.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
