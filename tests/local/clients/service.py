"""A real gateway with real workers, and `make classify` as a user of it runs it: without any package."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from scripts.cluster.keys import Key
from tests import folders, images
from tests.local.gateway_harness import ROOT, Gateway, RealWorker
from tests.local.worker_harness import running

RED = images.encoded(folders.image(folders.RED), "PNG")
BLUE = images.encoded(folders.image(folders.BLUE), "PNG")
BARE = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
COMMAND = [sys.executable, "-S", "-m", "scripts", "classify"]  # -S: without any package


@contextmanager
def serving(
    home: Path, workers: int = 1, keys: Sequence[Key] = (), key: str = "", **settings: Any
) -> Iterator[Gateway]:
    """Run `workers` real workers of a small model behind a real gateway, which asks for one of `keys` if there are."""
    home.mkdir(exist_ok=True)
    model = folders.openvino_folder(home / "bright")
    (home / "gateway").mkdir()
    with ExitStack() as stack:
        options = {"keys": True} if keys else {}
        gateway = stack.enter_context(Gateway(home / "gateway", {}, options=options, keys=keys, key=key))
        for name in [f"bright-{number}" for number in range(workers)]:
            process = stack.enter_context(running(model, home / f"{name}.log", WORKER=name, **settings))
            gateway.workers[name] = RealWorker(name, "bright", process.port)
            gateway.pools.setdefault("bright", []).append(name)
        gateway.write_members()
        yield gateway.start()


def url(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.port}"


def start(gateway: Gateway, *arguments: object, **options: Any) -> "subprocess.Popen[str]":
    command = [*COMMAND, "--url", url(gateway), *map(str, arguments)]
    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": BARE}
    return subprocess.Popen(command, cwd=ROOT, **(usual | options))
