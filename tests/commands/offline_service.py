"""`python -m tests.commands.offline_service HOME IMAGE FOLDER...`: every model folder's logits for the image, a PNG.

Those of SERVED come from a real worker each, through Nginx; the others from the worker's code in this process, which
imports the libraries once. Prints the logits by model as one line of JSON.
"""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from scripts.models.tools.answers import golden_function, open_engine
from tests.local.gateway_harness import Gateway
from tests.local.worker_harness import PNG, WorkerProcess, running
from worker.contract.settings import offline_variables
from worker.models.folder import read_folder

SERVED = ("transformers", "timm", "onnx")  # the libraries that know a hub, and an engine without torch


class Member:
    """A real worker as the gateway's harness needs it."""

    def __init__(self, name: str, process: WorkerProcess) -> None:
        self.name = self.model = self.slot = name
        self.process, self.port = process, process.port


def logits(gateway: Gateway, model: str, image: bytes) -> list[float]:
    reply = gateway.ask("POST", f"/models/{model}?function_to_apply=none&top_k=1000&labels=en", image, PNG)
    if reply.status != 200:
        raise SystemExit(f"{model}: {reply.body.decode()}")
    scores = {row["label"]: row["score"] for row in reply.json}
    return [scores[label] for label in sorted(scores)]


def logits_here(path: Path, image: bytes) -> list[float]:
    """Return the logits of the model folder at `path`, in the order of its English labels' alphabet."""
    folder = read_folder(path)
    found = golden_function(folder, open_engine(folder))(image)
    labels = folder.output.labels.names["en"]
    return [float(found[labels.index(label)]) for label in sorted(labels)]


def main(home: Path, image: Path, folders: list[Path]) -> None:
    os.environ |= offline_variables()
    others = {folder.name: logits_here(folder, image.read_bytes()) for folder in folders if folder.name not in SERVED}
    with ExitStack() as stack:
        names = {folder.name: folder for folder in folders if folder.name in SERVED}
        members = {}
        for name, folder in names.items():
            settings = {"MODEL": name, "WORKER": name, "SLOT": name}
            members[name] = Member(name, stack.enter_context(running(folder, home / f"{name}.txt", **settings)))
        gateway = stack.enter_context(Gateway(home, {}))
        gateway.workers |= members  # type: ignore[arg-type]
        gateway.pools |= {name: [name] for name in names}
        gateway.write_members()
        gateway.start()
        answers = {name: logits(gateway, name, image.read_bytes()) for name in names}
    print(json.dumps(answers | others), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(folder) for folder in sys.argv[3:]])
