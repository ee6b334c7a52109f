"""`python -m tests.commands.offline_service HOME IMAGE FOLDER...`: a service of one real worker for every model folder.

Asks each model about the image, a PNG, through Nginx, and prints the logits by model as one line of JSON.
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.local.gateway_harness import Gateway
from tests.local.worker_harness import PNG, WorkerProcess, running


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


def main(home: Path, image: Path, folders: list[Path]) -> None:
    with ExitStack() as stack:
        names = {folder.name: folder for folder in folders}
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
    print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(folder) for folder in sys.argv[3:]])
