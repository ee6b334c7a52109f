-- The script of wrk: send each of the requests in turn, check the label in every answer, print the outcome as JSON.
-- Arguments: the number of threads, then files that hold an expected label, a line feed and a request. Each thread has
-- one connection, so that an answer belongs to its last request, and its share of the files, to save memory.
local threads = {}
local labels, requests, current = {}, {}, 0
wrong = 0  -- a global, which thread:get reads

function setup(thread)
    thread:set("number", #threads)
    table.insert(threads, thread)
end

function init(arguments)
    local step, files = tonumber(arguments[1]), #arguments - 1
    for position = number % files, files - 1, step do
        local file = assert(io.open(arguments[position + 2], "rb"))
        table.insert(labels, file:read("*l"))
        table.insert(requests, file:read("*a"))
        file:close()
    end
end

function request()
    current = current % #requests + 1
    return requests[current]
end

local function first_label(body)
    for _, key in ipairs({"label", "category", "output"}) do
        local found = body:match('"' .. key .. '"%s*:%s*"(.-)"')
        if found then return found end
    end
    return body:match('^%[%s*"(.-)"')
end

function response(status, _, body)
    if status == 200 and first_label(body) ~= labels[current] then wrong = wrong + 1 end
end

function done(summary, latency)
    local errors, mistaken = summary.errors, 0
    for _, thread in ipairs(threads) do mistaken = mistaken + thread:get("wrong") end
    local form = '{"seconds": %f, "answers": %d, "p50_ms": %f, "p99_ms": %f, '
        .. '"errors": {"status": %d, "connection": %d, "wrong label": %d}}'
    local right = summary.requests - errors.status - mistaken
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
    print(form:format(summary.duration / 1e6, right, p50, p99, errors.status, broken, mistaken))
end
