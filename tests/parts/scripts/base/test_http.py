import json
import subprocess
import sys

from scripts.cluster.config import ROOT
from tests.answers import answering
from tests.service import free_ports
from tests.unit.scripts.base.test_http import READY


def test_a_proxy_of_the_environment_is_not_used() -> None:
    environ = {"http_proxy": f"http://127.0.0.1:{free_ports(1)}"}
    with answering({"/readyz": (200, json.dumps(READY).encode())}) as server:
        code = f"from scripts.base.http import get; print(get('{server.endpoint}/readyz') == (200, {READY}))"
        assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=environ, text=True) == "True\n"
