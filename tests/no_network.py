"""`python -m tests.no_network FOLDER COMMAND...`: run a command without a network, and print every name it looks up.

It must run as root of its own network and mount namespaces, as `unshare --net --mount` creates them: it brings up the
loopback device and points /etc/resolv.conf to a listener that never answers. FOLDER is for its files.
"""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

PORT = 53
UNSHARE = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
HEADER = 12  # bytes of a query before the name


def possible() -> bool:
    """Return whether this account may create such namespaces."""
    return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


def run(folder: Path, command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `command`; return its status and output. The last line of stdout is "DNS lookups:" and the names."""
    unshare_command = [*UNSHARE, sys.executable, "-m", "tests.no_network", str(folder), *command]
    return subprocess.run(unshare_command, capture_output=True, text=True, env=environ)


def main(folder: Path, command: list[str]) -> int:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    servers = folder / "resolv.conf"
    servers.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", str(servers), "/etc/resolv.conf"], check=True)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", PORT))
    names: list[str] = []
    threading.Thread(target=_listen, args=(listener, names), daemon=True).start()
    result = subprocess.run(command)
    print("DNS lookups:", *names, flush=True)
    return result.returncode


def _listen(listener: socket.socket, names: list[str]) -> None:
    while True:
        query = listener.recv(512)[HEADER:]
        labels = []
        while query[0]:
            labels.append(query[1 : 1 + query[0]].decode())
            query = query[1 + query[0] :]
        names.append(".".join(labels))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
