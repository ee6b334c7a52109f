"""The gate: asks every worker how it is, and keeps Nginx's list to those that answer.

    python3 -m gate init --members FILE --out DIR                  lists every worker to be found, before Nginx starts
    python3 -m gate run  --members FILE --out DIR --nginx COMMAND  asks for ever, and reloads Nginx on change

Reads members.json (who exists). Writes into DIR: upstreams.conf (who is listed), status.json and models.json (what
GET /status and GET /models serve) and ready.json (there only while every model has a worker that is in; a model that
is added to members.json later counts once it had one, so that it takes nothing away from those that serve). One JSON
log line a change.

Members may be host names: each question resolves its own anew, and Nginx is told addresses. A pool may be one name
instead of members ("discover"): then whoever it leads to is a member, as long as it does.

Needs Python's standard library and, for `run`, Nginx. If it dies, Nginx goes on with its last list.
"""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .loop import Gate
from .members import Member, MembersError, Name, parse_members
from .out import Nginx, log, now, write_atomically, write_status
from .probe import as_text, look_up, resolve
from .rules import Peer, render_models, render_status, render_upstreams, select_servers

INTERVAL = "GATE_INTERVAL"  # environment variable: how often the gate looks, where the command line does not say
INTERVAL_S = "1"


def init(members_file: Path, out: Path) -> None:
    """Lists every member that can be found: one that is starting answers 503, which is tried elsewhere."""
    pools = {model: known(pool) for model, pool in parse_members(members_file.read_text()).items()}
    everyone = [member for members in pools.values() for member in members]
    # All at once, since a name that is not known may take seconds to be refused.
    with ThreadPoolExecutor(len(everyone) or 1) as threads:
        peers = dict(zip(everyone, threads.map(initial_peer, everyone), strict=True))
    listed = {model: select_servers(members, peers, ()) for model, members in pools.items()}
    write_atomically(out / "upstreams.conf", render_upstreams(listed))
    status = render_status(pools, peers, {}, now())
    write_status(out, status, render_models(status, pools, peers), pools)


def known(pool: tuple[Member, ...] | Name) -> tuple[Member, ...]:
    """The members of a pool as far as they can be told now."""
    try:
        return pool.members(look_up(pool.address)) if isinstance(pool, Name) else pool
    except OSError:
        return ()


def initial_peer(member: Member) -> Peer:
    try:
        return Peer("untested", now(), address=as_text(*resolve(member)))
    except OSError:
        return Peer("out", now())


def run(members_file: Path, out: Path, nginx: Sequence[str], interval: float) -> None:
    if not (out / "upstreams.conf").exists():
        init(members_file, out)
    gate = Gate(members_file, out, Nginx(nginx, out / "upstreams.conf", interval), interval)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: gate.answers.put(None))
    log("started", interval_s=interval)
    gate.run()
    log("stopped")


def seconds(text: str) -> float:
    if not 0 < (value := float(text)) <= 60:
        raise argparse.ArgumentTypeError(f"needed is a number above 0, at most 60; found {text}")
    return value


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gate", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("init", help="list every worker once, before Nginx starts", allow_abbrev=False)
    always = commands.add_parser("run", help="ask for ever, and reload Nginx on change", allow_abbrev=False)
    for command in (first, always):
        command.add_argument("--members", type=Path, required=True, help="members.json: who exists")
        command.add_argument("--out", type=Path, required=True, help="where the rendered files go")
    always.add_argument("--nginx", type=shlex.split, required=True, help='such as "nginx -p P -c nginx.conf"')
    how_often = f"seconds between two questions, and between two reloads ({INTERVAL}, else {INTERVAL_S})"
    always.add_argument("--interval", type=seconds, default=os.environ.get(INTERVAL, INTERVAL_S), help=how_often)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    try:
        if options.command == "init":
            init(options.members, options.out)
        else:
            run(options.members, options.out, options.nginx, options.interval)
    except (OSError, MembersError) as error:
        print(f"gate: {options.members}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
