"""The command line, as a shell sees it."""

import os
import pkgutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import commands
from scripts.cluster.config import ROOT
from worker.contract.settings import SETTINGS

# Run in environments of their own.
OWN_TOOLS = ("scripts.bench", "scripts.models.tools.", "scripts.client.wanwu_client.requests_transport")
VENDORED = "scripts._vendor."  # known by their own names, not by this one


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # where argparse breaks lines


def test_an_error_is_printed_line_by_line_without_a_traceback(tmp_path: Path) -> None:
    cluster = tmp_path / "cluster.toml"
    cluster.write_text("port = 0\nengine = 7\n[[models]]\nname = 'm'\nfolder = 'm'\n")
    command = [sys.executable, "-m", "scripts", "status", "--cluster", str(cluster)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"!! {cluster}: port: found 0, needed a port from 1 to 65535\n"
        f"!! {cluster}: engine: found 7, needed {SETTINGS['engine'].needed}\n"
    )


def test_an_interrupt_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cluster.toml")  # reading it waits for ever
    command = [sys.executable, "-m", "scripts", "status", "--cluster", str(tmp_path / "cluster.toml")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        writer = os.open(tmp_path / "cluster.toml", os.O_WRONLY)  # returns once it is being read
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
        os.close(writer)
    assert (process.returncode, output, errors) == (130, "", "!! interrupted\n")


# --- Only the standard library, and what scripts/_vendor holds ----------------------------------------------------


def bare_python(code: str) -> subprocess.CompletedProcess[str]:
    """Python from the repository's root with an empty environment, no site-packages and no user folder."""
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})


def test_the_command_line_starts_without_any_package() -> None:
    code = "import runpy; sys.argv = ['scripts', '--help']; runpy.run_module('scripts', run_name='__main__')"
    result = bare_python(code)
    assert (result.returncode, result.stderr) == (0, "")
    assert commands.load("logs").help in result.stdout
    assert bare_python("import requests").returncode != 0


def test_a_command_does_not_import_other_commands() -> None:
    code = (
        "import contextlib; from scripts.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main(['logs', '--help'])\n"
        "print(*(name for name in sys.modules if name.startswith(('scripts.commands.', 'scripts.bench'))))"
    )
    result = bare_python(code)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "scripts.commands.logs")


def test_every_set_up_module_needs_only_the_standard_library_and_vendored_packages() -> None:
    found = pkgutil.walk_packages([str(ROOT / "scripts")], "scripts.")
    modules = [module.name for module in found if not module.name.startswith((*OWN_TOOLS, VENDORED))]
    assert {
        "scripts.runtimes.local.runtime",
        "scripts.cluster.plan",
        "scripts.render.common",
        "scripts.__main__",
    } <= set(modules)
    code = (
        f"import importlib; [importlib.import_module(name) for name in {modules!r}]; "
        "found = {name.partition('.')[0] for name, module in sys.modules.items() if module} - {'__main__'}; "
        "print(*(f'{name}={sys.modules[name].__file__}' for name in sorted(found - sys.stdlib_module_names)))"
    )
    result = bare_python(code)
    assert (result.returncode, result.stderr) == (0, "")
    assert dict(one.split("=", 1) for one in result.stdout.split()) == {
        "scripts": f"{ROOT}/scripts/__init__.py",
        "tomlkit": f"{ROOT}/scripts/_vendor/tomlkit/__init__.py",
        "worker": f"{ROOT}/worker/__init__.py",
    }
