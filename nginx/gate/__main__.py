"""The gate: probe every worker and keep Nginx's upstream list to the workers that answer.

    python3 -m gate init --members FILE --out DIR                  list every worker once, before Nginx starts
    python3 -m gate run  --members FILE --out DIR --nginx COMMAND  probe until stopped, reload Nginx on change
    python3 -m gate watch --out DIR                                end a gate that hangs, until stopped
    python3 -m gate hold  --entrance SOCKET --port PORT            listen for Nginx, until stopped
    python3 -m gate enter --out DIR COMMAND...                     become Nginx, on what the entrance listens on

The gate reads members.json (the workers that should exist, and options of the gateway) and, beside it, keys.json (who
may ask, if the options say that keys are asked for); without that file there is no key. It writes into DIR:
upstreams.conf (the listed workers and the options), status.json, models.json, names.json and index.json (the bodies of
GET /status, GET /models, GET /v1/models and POST /v2/repository/index), ready.pool_MODEL.json, which exists only while
the model has a worker in rotation, and ready.json, only while every model has one. A model added to members.json later
counts towards ready.json once it has had a worker in rotation, so that adding a model never makes the gateway unready.
It renews the files fresh.* as long as it writes the others, and its heartbeat, which the watcher reads. Every change is
one JSON log line.

Nginx sends the gate every worker's answers, and a worker that alone answers with server errors is ejected: it leaves
at once, though its probes succeed, and comes back after a time that grows with each ejection.

A member's address may be a host name: every probe resolves it again, and Nginx gets IP addresses. A pool may be
one host name instead of a list of members ("discover"): its members are the addresses the name resolves to.

Requirements: Python's standard library and, for `run`, Nginx. If the gate dies, Nginx continues with its last list.
"""

import argparse
import os
import resource
import shlex
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .access import KEYS_FILE, parse_keys, views
from .entrance import enter, hold
from .freshness import beat
from .loop import Gate
from .members import DiscoveredPool, Member, MembersError, parse_members
from .options import SERVER_PEM, parse_options
from .out import Nginx, digest, log, never_wait_for_log, now, write_atomically, write_models, write_status
from .outliers import EJECTION_S, LONGEST_EJECTION_S
from .resolve import format_address, look_up, split_address
from .rules import Peer, select_servers
from .status import render_models, render_status
from .upstreams import render_upstreams
from .watcher import watch

INTERVAL_VARIABLE = "GATE_INTERVAL"  # environment variable: the default of --interval
DEFAULT_INTERVAL_S = "1"
INIT_THREADS = 64


def init(members_file: Path, out: Path) -> None:
    """List every member whose name resolves. A member still starting answers 503, and Nginx tries another."""
    beat(out)
    text, keys_file = members_file.read_text(), members_file.with_name(KEYS_FILE)
    keys = parse_keys(keys_file.read_text() if keys_file.exists() else "")
    pools = {model: current_members(pool) for model, pool in parse_members(text).items()}
    all_members = [member for members in pools.values() for member in members]
    # In parallel, since a failed name lookup may take seconds, and Nginx waits for this.
    with ThreadPoolExecutor(INIT_THREADS) as threads:
        peers = dict(zip(all_members, threads.map(initial_peer, all_members), strict=True))
    listed = {model: select_servers(members, peers, ()) for model, members in pools.items()}
    certificate = digest(out.parent / SERVER_PEM)
    text = render_upstreams(listed, options=parse_options(text), keys=keys, certificate=certificate)
    write_atomically(out / "upstreams.conf", text)
    status = render_status(pools, peers, {}, now())
    write_models(out, render_models(status, pools, peers), views(keys))
    write_status(out, status, pools)


def current_members(pool: tuple[Member, ...] | DiscoveredPool) -> tuple[Member, ...]:
    """Return the pool's members; none if the pool's name does not resolve now."""
    try:
        return pool.members(resolve(pool.address)) if isinstance(pool, DiscoveredPool) else pool
    except OSError:
        return ()


def resolve(address: str) -> list[str]:
    """Return every ip:port that `address` (host:port) resolves to, sorted; raise OSError if it does not resolve."""
    host, port = split_address(address)
    return [format_address(ip, port) for ip in look_up(host)]


def initial_peer(member: Member) -> Peer:
    """Return an untested peer, or one out of rotation if the member's name does not resolve."""
    try:
        return Peer("untested", now(), address=resolve(member.address)[0])
    except OSError:
        return Peer("out", now())


def run(members_file: Path, out: Path, nginx: Sequence[str], interval: float, ejection_s: float) -> None:
    never_wait_for_log()
    beat(out)
    if not (out / "upstreams.conf").exists():
        init(members_file, out)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # each member has a connection
    gate = Gate(members_file, out, Nginx(nginx, out / "upstreams.conf", interval), interval, ejection_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: gate.events.put(None))
    log("started", interval_s=interval)
    gate.run()
    log("stopped")


def interval_seconds(text: str) -> float:
    if not 0 < (value := float(text)) <= 60:
        raise argparse.ArgumentTypeError(f"found {text}, needed a number above 0 and at most 60")
    return value


def ejection_seconds(text: str) -> float:
    if not 0 < (value := float(text)) <= LONGEST_EJECTION_S:
        raise argparse.ArgumentTypeError(
            f"found {text}, needed a number above 0 and at most {LONGEST_EJECTION_S:g}: correct it"
        )
    return value


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gate", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    init_parser = commands.add_parser("init", help="list every worker once, before Nginx starts", allow_abbrev=False)
    run_parser = commands.add_parser("run", help="probe until stopped, reload Nginx on change", allow_abbrev=False)
    watch_parser = commands.add_parser("watch", help="end a gate that hangs, until stopped", allow_abbrev=False)
    hold_parser = commands.add_parser("hold", help="listen for Nginx, until stopped", allow_abbrev=False)
    hold_parser.add_argument("--entrance", type=Path, required=True, help="the Unix socket that hands the port on")
    hold_parser.add_argument("--port", type=int, action="append", required=True, help="a port to listen on")
    enter_help = "become Nginx, on what the entrance listens on"
    enter_parser = commands.add_parser("enter", help=enter_help, allow_abbrev=False)
    enter_parser.add_argument("nginx", nargs=argparse.REMAINDER, help="Nginx's command")
    for command in (init_parser, run_parser):
        command.add_argument("--members", type=Path, required=True, help="members.json: the workers that should exist")
    for command in (init_parser, run_parser, watch_parser, enter_parser):
        command.add_argument("--out", type=Path, required=True, help="the directory of the rendered files")
    nginx = 'Nginx\'s command, such as "nginx -p P -c nginx.conf"'
    run_parser.add_argument("--nginx", type=shlex.split, required=True, help=nginx)
    default = os.environ.get(INTERVAL_VARIABLE, DEFAULT_INTERVAL_S)
    interval = "seconds between two probes of a worker, and between two reloads"
    interval += f" (default: {INTERVAL_VARIABLE}, or {DEFAULT_INTERVAL_S})"
    run_parser.add_argument("--interval", type=interval_seconds, default=default, help=interval)
    ejection = f"seconds that a worker is ejected for the first time ({EJECTION_S:g})"
    run_parser.add_argument("--ejection", type=ejection_seconds, default=EJECTION_S, help=ejection)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    try:
        if options.command == "init":
            init(options.members, options.out)
        elif options.command == "hold":
            hold(options.entrance, options.port)
        elif options.command == "enter":
            enter(options.nginx, options.out.parent / "tmp/entrance")
        elif options.command == "watch":
            never_wait_for_log()
            watch(options.out)
        else:
            run(options.members, options.out, options.nginx, options.interval, options.ejection)
    except (OSError, MembersError) as error:
        print(f"gate: {getattr(options, 'members', options.command)}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
