"""The upstreams that Nginx includes, rendered and read back. All pure."""

import re
from collections.abc import Container, Mapping, Sequence

from .access import Key, render_access, render_default_model
from .bypass import render_bypasses
from .options import DEFAULTS, Options, render_options
from .rules import Servers

# Nginx's passive checks cover the seconds until the gate reacts: a worker that fails at once has the fewest
# connections, so that least_conn would send it every request.
SERVER_PARAMETERS = "max_fails=3 fail_timeout=5s"
# Of a worker that is listed although its probes fail: a single failure leaves it out for a while.
FAILING_PARAMETERS = "max_fails=1 fail_timeout=10s"
# Nginx needs a server in every upstream; it never sends to this one, so requests for an empty pool get 503 at once.
PLACEHOLDER_SERVER = "    server 127.0.0.1:1 down;"
# Shared memory of an upstream: 1 KB for each server and 20 KB besides as Nginx 1.22 needs it, and a reserve.
ZONE_KB, ZONE_BASE_KB, SERVER_KB = 256, 64, 2
KEEPALIVE, MAX_KEEPALIVE = 32, 512  # idle connections of a small and of a large pool, of nginx.conf's 2048
KEEPALIVE_S = 60  # below gunicorn's 75, so that Nginx is the one to close an idle connection
KNOWN_MODELS_CHARACTERS = 2000  # Nginx refuses a text of more than 4096 characters


def render_upstreams(
    pools: Mapping[str, Servers],
    answers_to: str | None = None,
    options: Options = DEFAULTS,
    keys: Sequence[Key] = (),
    failing: Container[str] = (),
    certificate: str = "",
    metrics_at: str = "",
) -> str:
    """Return upstreams.conf: an upstream for each model with its bypasses, the maps that select it, and the options.

    `failing` are the workers out of rotation; `certificate` is a digest of its file. Nginx logs the workers' answers to
    `answers_to` if the gate listens there, and asks it for its metrics at `metrics_at`. The lists hold IP addresses:
    Nginx resolves a name only once, and rejects its whole configuration if one fails.
    """
    first = next(iter(pools))
    lines = ["# Rendered by the gate: the workers that answer. Do not edit: every change rewrites this file."]
    if answers_to:
        lines += ["", f"access_log {answers_to} answers if=$counted;"]
        lines += [f"access_log {answers_to} full if=$bodies_full;"]
    lines += ["", "upstream gate {", f"    server {metrics_at};" if metrics_at else PLACEHOLDER_SERVER, "}"]
    for model, servers in pools.items():
        listed = [
            f"    server {address} {FAILING_PARAMETERS if worker in failing else SERVER_PARAMETERS};  # {worker}"
            for worker, address in servers.items()
        ]
        listed = listed or [PLACEHOLDER_SERVER]
        zone_kb = max(ZONE_KB, ZONE_BASE_KB + SERVER_KB * len(listed))
        lines += ["", f"upstream pool_{model} {{", f"    zone pool_{model} {zone_kb}k;", "    least_conn;", *listed]
        # Each of Nginx's processes has an idle connection to every worker, or it would often open one for a request.
        keepalive = min(max(KEEPALIVE, len(listed)), MAX_KEEPALIVE)
        lines += [f"    keepalive {keepalive};", f"    keepalive_timeout {KEEPALIVE_S}s;", "}"]
        lines += render_bypasses(model, listed)
    # The slash keeps a model called `default` or `include` from being read as a keyword of map.
    lines += render_default_model(options, keys, list(pools))
    lines += ["", "map /$model$default_model $pool {", f"    / pool_{first};"]
    lines += [f"    /{model} pool_{model};" for model in pools]
    # A worker says that a request's body names another model; its header, unlike the address, may name none.
    lines += ["}", "", "map /$body_model $body_pool {", '    default "";']
    lines += [f"    /{model} pool_{model};" for model in pools]
    lines += ["}", "", 'map "" $known_models {', f'    default "{_known_models(list(pools))}";', "}"]
    access = render_access(options, keys, list(pools))
    return "\n".join([*lines, *render_options(options, certificate), *access, ""])


def _known_models(models: Sequence[str]) -> str:
    """Return the names for the error of an unknown model: as many as fit into KNOWN_MODELS_CHARACTERS, at least one."""
    shown, characters = 1, len(models[0])
    while shown < len(models) and (characters := characters + 2 + len(models[shown])) <= KNOWN_MODELS_CHARACTERS:
        shown += 1
    left = len(models) - shown
    return ", ".join(models[:shown]) + (f" and {left} more, which GET /models lists" if left else "")


def listed_pools(upstreams: str) -> dict[str, dict[str, str]]:
    """Return the servers listed in a rendered upstreams.conf, by model."""
    blocks = re.findall(r"^upstream pool_(\S+) \{$(.*?)^\}$", upstreams, re.MULTILINE | re.DOTALL)
    servers = re.compile(r"^    server (\S+) .*;  # (\S+)$", re.MULTILINE)
    return {model: {worker: address for address, worker in servers.findall(block)} for model, block in blocks}


def listed_servers(upstreams: str) -> dict[str, str]:
    """Return the servers listed in a rendered upstreams.conf, all pools together."""
    return {worker: address for servers in listed_pools(upstreams).values() for worker, address in servers.items()}
