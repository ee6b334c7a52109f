"""Have a running gateway go by other files, without losing a connection."""

from collections.abc import Mapping

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.runtimes.local import layout, processes, supervisor
from scripts.runtimes.local.files import GATE_PROGRAMS, LISTEN, PROGRAMS
from scripts.runtimes.local.layout import KIT, kit_of
from scripts.runtimes.run_directory import RunDir

RELOAD_TIMEOUT_S = 120  # of Nginx, by a gate that has just started on a busy machine


def switch(run: RunDir, files: Mapping[str, str]) -> None:
    """Start another gate if its code, Nginx's configuration or the addresses are others: it reloads Nginx."""
    shared = {path: text for path, text in files.items() if path != PROGRAMS}
    unchanged = run.has_files({path: shared[path] for path in (KIT, GATE_PROGRAMS, LISTEN)})
    known = processes.nginx_workers(run).keys()
    run.write(shared)
    if unchanged:
        return
    step("the gateway changes: Nginx loads its configuration again, and keeps its connections")
    layout.adopt(run, kit_of(files[KIT]))
    supervisor.update_gate(run)
    if not wait_until(lambda: not known & processes.taking_requests(run), RELOAD_TIMEOUT_S):
        log = processes.log_end(run, "gate")
        raise CommandError("the gateway goes by its former configuration; the gate's log ends with:", *log)
