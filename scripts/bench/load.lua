-- The script of wrk: send the requests in the files that are its arguments, in turn; print the outcome as JSON.
local requests, sent = {}, 0

function init(paths)
    for position = 1, #paths do
        local file = assert(io.open(paths[position], "rb"))
        requests[position] = file:read("*a")
        file:close()
    end
end

function request()
    sent = sent + 1
    return requests[sent % #requests + 1]
end

function done(summary, latency)
    local errors = summary.errors
    local form = '{"seconds": %f, "answers": %d, "p50_ms": %f, "p99_ms": %f, "errors": {"status": %d, "connection": %d}}'
    local answers, broken = summary.requests - errors.status, errors.connect + errors.read + errors.write + errors.timeout
    local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
    print(form:format(summary.duration / 1e6, answers, p50, p99, errors.status, broken))
end
