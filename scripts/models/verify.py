"""`make model-verify`: run every check of a starting worker without starting one, and report the results."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import serving
from scripts.host.venv import ensure
from scripts.models import model_store
from scripts.models import tools as model_tools
from scripts.models.model_store import StoredModel
from scripts.models.options import VerifyOptions
from scripts.models.summary import machine_kind_here, read_summary
from scripts.models.verified import record


@dataclass(frozen=True)
class Report:
    """The checks of one folder in the order in which they ran, up to the first that failed."""

    name: str
    folder: str
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check["ok"] for check in self.checks)


def verify(options: VerifyOptions, cluster: Cluster) -> None:
    """Check the folder called `options.name`, or every one, and print a report. Raise CommandError if any fails."""
    entries = model_store.select(model_store.entries(options.models, cluster), options.name)
    # Progress messages must not end up in the JSON.
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        reports = [_verify(options.models, entry) for entry in entries]
    if options.json:
        say(json.dumps([asdict(report) | {"ok": report.ok} for report in reports], indent=1, ensure_ascii=False))
    if failed := [report.name for report in reports if not report.ok]:
        raise CommandError(f"failed: {', '.join(failed)}: see above: do not serve them until they are verified")
    if not options.json:
        say(f"verified: {', '.join(report.name for report in reports)}")


def _verify(models: Path, entry: StoredModel) -> Report:
    python = ensure(
        serving(read_summary(entry.folder).needs(machine_kind_here())),
        nvidia=bool(read_hardware().gpus),
    )
    report = Report(entry.name, str(entry.folder))
    for check in _checks(python, entry.folder):
        report.checks.append(check)
        say(f"{'ok' if check['ok'] else 'no'}  {entry.name}: {check['check']}: {check['found']}")
    record(models, entry.folder, report.ok)
    return report


def _checks(python: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield each check as it finishes, from a separate process: a library that crashes on a damaged file ends there."""
    with model_tools.start(python, "verify", folder, stdout=subprocess.PIPE) as tool:
        for line in tool.stdout or ():
            yield json.loads(line)
    if tool.returncode < 0:
        yield {"check": "ending", "ok": False, "found": f"killed by signal {-tool.returncode}; is there enough memory?"}
