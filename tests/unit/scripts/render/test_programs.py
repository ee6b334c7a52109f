"""Supervisord's programs, as exact text and as supervisord reads them."""

import configparser
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from supervisor.options import ServerOptions

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.render.common import worker_environment
from scripts.render.programs import gate_programs, joined_programs, program_sections, programs
from tests.unit.scripts.render import FROM_THE_FILE, PHOTOS, WIDE, make_cluster, make_plan, ports

PYTHON = Path("/srv/my apps/100%/bin/python")
REVISION = {"photos": "code 1, model 2", "wide": "code 1, model 3"}
MEMORY = {"photos": 900_000_000, "wide": 900_000_000}  # bytes
COMMAND: dict[str, Sequence[str | Path]] = {
    "photos": (PYTHON, "-m", "serve()"),
    "wide": ("/torch/python", "-m", "serve()"),
}


def parsed(text: str, folder: Path) -> Mapping[str, Any]:
    """Return the programs that supervisord's own parser reads from `text`, by name."""
    (folder / "rendered").mkdir()
    (folder / "logs").mkdir()
    (folder / "rendered/programs.conf").write_text(text)
    (folder / "supervisord.conf").write_text("[supervisord]\n[include]\nfiles=rendered/programs.conf\n")
    options = ServerOptions()
    options.here = str(folder)
    options.read_config(str(folder / "supervisord.conf"))
    groups = options.configroot.supervisord.process_group_configs
    assert {group.priority for group in groups} == {100}
    # Each program is its own group, since supervisord adds and removes only whole groups.
    processes = {group.name: group.process_configs for group in groups}
    assert all([process.name for process in group] == [name] for name, group in processes.items())
    return {name: process for name, (process,) in processes.items()}


def test_workers_logs_and_starts_are_bounded_as_those_of_the_other_programs(tmp_path: Path) -> None:
    static = configparser.RawConfigParser(inline_comment_prefixes=";")
    static.read(ROOT / "scripts/runtimes/local/supervisord.conf")
    cluster = make_cluster()
    plans = make_plan(cluster)
    rendered = configparser.RawConfigParser()
    rendered.read_string(programs(cluster, plans, ports(plans), COMMAND, MEMORY, tmp_path, REVISION))
    gate = configparser.RawConfigParser()
    gate.read_string(gate_programs(PYTHON, tmp_path, "1a2b"))
    keys = ("stdout_logfile_maxbytes", "stdout_logfile_backups", "startretries", "autorestart")
    found = [tuple(section[key] for key in keys) for file in (static, rendered, gate) for name, section in file.items()
             if name.startswith("program:")]  # fmt: skip
    assert len(found) == 6
    assert {*found} == {("20MB", "4", "1000000", "true")}


def test_the_gateway_runs_in_a_container_as_under_the_local_runtime(tmp_path: Path) -> None:
    """Only paths, logs and who starts them differ, for which the two have a file each."""
    container, local = (configparser.RawConfigParser(inline_comment_prefixes=";") for _ in range(2))
    container.read(ROOT / "nginx/supervisord.conf")
    local.read(ROOT / "scripts/runtimes/local/supervisord.conf")
    local.read_string(gate_programs(Path("python3"), tmp_path, "1a2b"))
    keys = ("autorestart", "startretries", "redirect_stderr", "stopsignal", "stopwaitsecs")

    def lives(file: configparser.RawConfigParser) -> list[tuple[str | None, ...]]:
        """Return the programs in the order in which they start, and how each starts again and stops."""
        found = [name for name in sorted(file.sections()) if name.startswith("program:")]
        found.sort(key=lambda name: file.getint(name, "priority"))
        return [(name, *(file.get(name, key, fallback=None) for key in keys)) for name in found]

    def command(file: configparser.RawConfigParser, name: str) -> str:
        """Return the command with the container's paths, without the options that one of the two alone has."""
        text = re.sub(r"%\((here|ENV_HOME)\)s/gateway", "/gateway", file.get(f"program:{name}", "command"))
        return re.sub(r"^python3 -m gate enter --out \S+ |(?<=--members )\S+|[\"']", "", text)

    assert lives(container) == lives(local)
    assert len(lives(container)) == 4
    for name in ("nginx", "nginx-log", "gate", "gate-watch"):
        assert command(container, name) == command(local, name)


def test_programs_render_as_this_text() -> None:
    from_the_file = ",".join(f'{name}="{value}"' for name, value in FROM_THE_FILE.items())
    settings = f'{from_the_file},WANWU_MEMORY_MB="900",WANWU_CACHE="%(here)s/../cache"'
    cluster = make_cluster()
    plans = make_plan(cluster)
    assert programs(cluster, plans, ports(plans), COMMAND, MEMORY, Path("/srv/100% kit"), REVISION) == (
        "; Rendered from compose/cluster.toml by scripts/render; changes here are lost at the next `make up`.\n"
        "\n"
        "[program:photos-0]\n"
        "; code 1, model 2\n"
        "command='/srv/my apps/100%%/bin/python' '-m' 'serve()'\n"
        "directory=/srv/100%% kit\n"
        'environment=WANWU_MODEL="photos",WANWU_MODEL_DIR="/models/the photos",WANWU_WORKER="photos-0",'
        'WANWU_SLOT="this-cpu0",WANWU_CPUS="0",WANWU_GPU="",WANWU_BIND="127.0.0.1:8081",' + settings + "\n"
        "stdout_logfile=%(here)s/../logs/photos-0.log\n"
        "stdout_logfile_maxbytes=20MB\n"
        "stdout_logfile_backups=4\n"
        "redirect_stderr=true\n"
        "autorestart=true\n"
        "startretries=1000000\n"
        "stopwaitsecs=23\n"
        "killasgroup=true\n"
        "priority=100\n"
        "\n"
        "[program:wide-0]\n"
        "; code 1, model 3\n"
        "command='/torch/python' '-m' 'serve()'\n"
        "directory=/srv/100%% kit\n"
        'environment=WANWU_MODEL="wide",WANWU_MODEL_DIR="/models/100%% wide; really",'
        'WANWU_WORKER="wide-0",WANWU_SLOT="this-cpu1",WANWU_CPUS="1",WANWU_GPU="",WANWU_BIND="127.0.0.1:8082",'
        + settings
        + "\n"
        "stdout_logfile=%(here)s/../logs/wide-0.log\n"
        "stdout_logfile_maxbytes=20MB\n"
        "stdout_logfile_backups=4\n"
        "redirect_stderr=true\n"
        "autorestart=true\n"
        "startretries=1000000\n"
        "stopwaitsecs=23\n"
        "killasgroup=true\n"
        "priority=100\n"
    )


def test_programs_are_taken_apart_and_joined_again() -> None:
    cluster = make_cluster()
    plans = make_plan(cluster)
    text = programs(cluster, plans, ports(plans), COMMAND, MEMORY, Path("/srv/kit"), REVISION)
    sections = program_sections(text)
    assert list(sections) == ["photos-0", "wide-0"]
    assert joined_programs(sections.values()) == text
    alone = joined_programs([sections["wide-0"]])
    assert program_sections(alone) == {"wide-0": sections["wide-0"]}
    turned = joined_programs(reversed(sections.values()))
    assert program_sections(turned) == sections
    assert program_sections("") == {}


def test_the_gates_programs_run_the_kits_gate_on_the_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/the run")
    (tmp_path / "rendered").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "rendered/gate.conf").write_text(gate_programs(PYTHON, Path("/srv/100% kit"), "1a2b"))
    (tmp_path / "supervisord.conf").write_text("[supervisord]\n[include]\nfiles=rendered/*.conf\n")
    options = ServerOptions()
    options.here = str(tmp_path)
    options.read_config(str(tmp_path / "supervisord.conf"))
    groups = {group.name: group.process_configs[0] for group in options.configroot.supervisord.process_group_configs}
    assert groups.keys() == {"gate", "gate-watch"}
    assert shlex.split(groups["gate"].command) == [
        str(PYTHON), "-m", "gate", "run", "--members", "/the run/gateway/rendered/members.json",
        "--out", "/the run/gateway/rendered", "--nginx", "nginx -e stderr -p '/the run/gateway' -c nginx.conf",
    ]  # fmt: skip
    assert groups["gate"].directory == "/srv/100% kit/nginx"
    assert groups["gate"].environment == {"REVISION": "1a2b"}


@pytest.mark.parametrize("folder", [PHOTOS, WIDE, "/a,b=c", "/#1;2", "/模型 (新)", "/%(here)d/%%s", "/$HOME/`x`"])
def test_supervisord_reads_every_value_back_unchanged(folder: str, tmp_path: Path) -> None:
    cluster = make_cluster(photos=folder)
    root = Path(folder) / "kit"
    plans = make_plan(cluster, "eight-gpus")
    command = {"photos": (Path(folder) / "python", "-m", "x:y()"), "wide": ("/torch/python",)}
    found = parsed(programs(cluster, plans, ports(plans), command, MEMORY, root, REVISION), tmp_path)
    assert sorted(found) == sorted(worker.name for worker in plans.workers)
    for worker in plans.workers:
        process = found[worker.name]
        assert shlex.split(process.command) == [str(part) for part in command[worker.model]]
        assert process.directory == str(root)
        cache = process.environment.pop("WANWU_CACHE")
        limit = {} if worker.slot.gpu else {"WANWU_MEMORY_MB": "900"}
        address = f"127.0.0.1:{ports(plans)[worker.name]}"
        assert process.environment == worker_environment(cluster, worker, address) | limit
        assert Path(cache).resolve() == tmp_path / "cache"
        assert Path(process.stdout_logfile).resolve() == tmp_path / f"logs/{worker.name}.log"


@pytest.mark.parametrize(
    "path", ["/it's", '/the "photos"', "/back\\slash", "/two\nlines", "/a ;b", "/a #b", "/a\t;b", "/ends with "]
)
@pytest.mark.parametrize("position", ["root", "command"])
def test_paths_that_supervisord_cannot_quote_are_rejected(path: str, position: str) -> None:
    cluster = make_cluster()
    plans = make_plan(cluster)
    command = COMMAND if position == "root" else COMMAND | {"wide": (Path(path), "-m")}
    root = Path(path if position == "root" else "/srv")
    with pytest.raises(CommandError) as error:
        programs(cluster, plans, ports(plans), command, MEMORY, root, REVISION)
    assert error.value.lines == (
        f"{path}: needed a path without quotes, backslashes, line breaks, trailing spaces, and spaces before ; or #",
    )


def test_all_invalid_paths_are_reported_at_once() -> None:
    cluster = make_cluster(photos="/the 'photos'")
    plans = make_plan(cluster)
    with pytest.raises(CommandError) as error:
        programs(cluster, plans, ports(plans), COMMAND, MEMORY, Path("/a ;b"), REVISION)
    assert [line.split(": ")[0] for line in error.value.lines] == ["/a ;b", "/the 'photos'"]
