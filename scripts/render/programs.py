"""Render supervisord's programs: the workers, and the gate with its watchdog."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.cluster.plan import Plan
from scripts.render.common import NOTICE, stop_timeout_s, worker_environment
from worker.contract.settings import SETTINGS, to_env

MEGABYTE = 10**6
KEPT_LOGS = "stdout_logfile_maxbytes=20MB\nstdout_logfile_backups=4\n"
RESTARTED = "autorestart=true\nstartretries=1000000\n"  # for ever, and a second later each time
PROGRAM = re.compile(r"^\[program:(.+)\]$", re.MULTILINE)
# supervisord has no escapes inside quotes, and takes the rest of a line after " ;" or " #" for a comment.
UNQUOTABLE = re.compile(r"""["'\\\n]|\s([;#]|$)""")


def programs(
    cluster: Cluster,
    plan: Plan,
    ports: Mapping[str, int],
    command: Mapping[str, Sequence[str | Path]],
    memory: Mapping[str, int],
    root: Path,
    revision: Mapping[str, str],
) -> str:
    """Return supervisord's programs, one for each worker; `ports` are by worker, `command` lines by model.

    `memory` are the limits of workers in bytes, by model; a GPU worker has none, for its driver reserves much.
    `revision` says by model which code and files its workers run.

    Raise CommandError if a path cannot be written in supervisord's configuration.
    """
    paths = {root, *(model.folder for model in cluster.models), *(Path(parts[0]) for parts in command.values())}
    if faults := [fault for path in sorted(paths) for fault in path_faults(path)]:
        raise CommandError(*faults)
    sections = []
    for worker in plan.workers:
        environment = worker_environment(cluster, worker, f"127.0.0.1:{ports[worker.name]}")
        if not worker.slot.gpu:
            environment |= to_env(memory_mb=memory[worker.model] // MEGABYTE)
        variables = ",".join(f'{name}="{_escape(value)}"' for name, value in environment.items())
        sections.append(
            f"[program:{worker.name}]\n"
            f"; {revision[worker.model]}\n"
            f"command={' '.join(_quote(part) for part in command[worker.model])}\n"
            f"directory={_escape(str(root))}\n"
            f'environment={variables},{SETTINGS["cache"].variable}="%(here)s/../cache"\n'
            f"stdout_logfile=%(here)s/../logs/{worker.name}.log\n"
            f"{KEPT_LOGS}"
            "redirect_stderr=true\n"
            f"{RESTARTED}"
            f"stopwaitsecs={stop_timeout_s(cluster)}\n"
            "killasgroup=true\n"
            "priority=100\n"
        )
    return joined_programs(sections)


def program_sections(text: str) -> dict[str, str]:
    """Return program name -> its section in what `programs` returned."""
    sections = re.split(r"(?m)^(?=\[program:)", text)
    return {name: f"{section.rstrip()}\n" for section in sections for name in PROGRAM.findall(section)}


def joined_programs(sections: Iterable[str]) -> str:
    """Return the text of which `program_sections` are the `sections`."""
    return "\n".join([f"; {NOTICE}\n", *sections])


def gate_programs(python: Path, root: Path, revision: str) -> str:
    """Return supervisord's programs of the gate of the kit in `root`; `revision` says which code it runs.

    HOME is the run directory.
    """
    gateway = "%(ENV_HOME)s/gateway"
    nginx = f"nginx -e stderr -p '{gateway}' -c nginx.conf"
    arguments = {
        "gate": f'run --members "{gateway}/rendered/members.json" --out "{gateway}/rendered" --nginx "{nginx}"',
        "gate-watch": f'watch --out "{gateway}/rendered"',  # ends a gate that hangs; it is then restarted
    }
    return joined_programs(
        f"[program:{name}]\n"
        f"directory={_escape(str(root / 'nginx'))}\n"
        f"command={_quote(python)} -m gate {options}\n"
        f'environment=REVISION="{revision}"\n'
        f"stdout_logfile=%(here)s/../logs/{name}.log\n"
        f"{KEPT_LOGS}"
        "redirect_stderr=true\n"
        f"{RESTARTED}"
        "priority=300\n"
        for name, options in arguments.items()
    )


def path_faults(path: Path) -> list[str]:
    """Return a fault if `path` cannot be written in supervisord's configuration."""
    if not UNQUOTABLE.search(str(path)):
        return []
    return [
        f"{path}: needed a path without quotes, backslashes, line breaks, trailing spaces, and spaces before ; or #"
    ]


def _escape(text: str) -> str:
    """Return `text` with % doubled, since supervisord expands %(name)s."""
    return text.replace("%", "%%")


def _quote(part: str | Path) -> str:
    return f"'{_escape(str(part))}'"
