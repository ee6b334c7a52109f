"""`make screenshots`: take the documents' pictures of the web page, from the running service."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.options import Flag, made_folder
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.commands import Command, ServiceOptions
from scripts.host import checks
from scripts.host.environments import DEV
from scripts.host.packages import BROWSER, require
from scripts.host.venv import ensure

OUT = ROOT / "compose/reference/screenshots"


@dataclass(frozen=True)
class Options:
    """Of which service, and where the pictures go."""

    url: Annotated[str, Flag("the service (default: on this machine, at the port of the cluster file)", "URL")] = ""
    out: Annotated[Path, Flag("the folder of the pictures", "DIR")] = OUT


def run(service: ServiceOptions, options: Options) -> None:
    """Take every picture; raise CommandError if the service is not there, or its page shows no answer."""
    url = options.url.rstrip("/") or service.load_cluster().endpoint
    if get(f"{url}/readyz")[0] != 200:
        raise CommandError(f"{url}: found no service that is ready, needed one with a page: run `make up` first")
    require(BROWSER)
    python = ensure(DEV, nvidia=bool(read_hardware().gpus))
    checks.run("screenshots", [python, "-m", "tests.browser.screenshots", url, made_folder(options.out)])


COMMAND = Command("take the documents' pictures of the web page, from the running service", Options, run)
