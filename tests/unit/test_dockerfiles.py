"""The image descriptions: what in them must agree with other files, and their health checks, run for real."""

import configparser
import json
import re
from pathlib import Path

import pytest

from scripts.host import images
from scripts.host.wheelhouse import LOCKS
from scripts.render.compose import GATEWAY_PORT
from scripts.runtimes.compose import shares
from scripts.runtimes.local.files import GUNICORN
from worker.contract.settings import offline_variables

ROOT = Path(__file__).parents[2]
WORKER, GATEWAY = "worker/Dockerfile", "nginx/Dockerfile"


def instructions(dockerfile: str) -> list[str]:
    """The Dockerfile's lines, continued ones joined, without comments."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / dockerfile).read_text(), flags=re.MULTILINE)
    return text.replace("\\\n", "").splitlines()


def arguments(dockerfile: str, instruction: str) -> list[str]:
    return [line.partition(" ")[2] for line in instructions(dockerfile) if line.startswith(f"{instruction} ")]


def variables(dockerfile: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for line in arguments(dockerfile, "ENV") for pair in line.split())


def test_the_worker_s_image_sets_what_keeps_libraries_offline() -> None:
    assert offline_variables().items() <= variables(WORKER).items()


def test_the_worker_is_started_as_the_local_runtime_starts_it() -> None:
    expected = ["setpriv", "--no-new-privs", "python3", *GUNICORN]
    assert [json.loads(line) for line in arguments(WORKER, "CMD")] == [expected]


def test_every_lock_belongs_to_a_target() -> None:
    installed = re.findall(r"--requirement=/packages/(\S+)", (ROOT / WORKER).read_text())
    assert installed == [lock.name for lock in LOCKS]


def test_the_targets_are_those_that_are_built() -> None:
    for image in (images.GATEWAY, images.PROMETHEUS, *images.WORKERS.values()):
        stages = [line.rpartition(" AS ")[2] for line in arguments(image.dockerfile, "FROM")]
        assert image.target in stages


@pytest.mark.parametrize("dockerfile", [WORKER, GATEWAY])
def test_the_base_is_named_alike_everywhere_and_nothing_of_a_site_is_an_argument(dockerfile: str) -> None:
    assert arguments(dockerfile, "ARG") == [f"BASE={images.BASE}", "VERSION=unknown"]
    assert f"TAG={images.BASE}" in (ROOT / "scripts/base-image.sh").read_text().splitlines()


@pytest.mark.parametrize("dockerfile", [WORKER, GATEWAY])
def test_an_image_runs_as_an_account_without_rights_that_is_named_by_number(dockerfile: str) -> None:
    [user] = arguments(dockerfile, "USER")
    assert re.fullmatch(r"(\d+):\1", user)
    assert int(user.split(":")[0]) > 1000


def test_a_build_sees_the_parts_and_the_wheels_and_no_models() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[:5] == ["*", "!nginx", "!worker", "!compose/observability", "!wheelhouse"]
    assert {folder.rstrip("/") for folder in images.SKIPPED_FOLDERS} <= set(rules[5:])


def test_the_gateway_s_image_has_all_that_its_nginx_conf_includes() -> None:
    copied = [Path(name).name for line in arguments(GATEWAY, "COPY") for name in line.split()]
    included = re.findall(r"^\s*include (\S+);", (ROOT / "nginx/nginx.conf").read_text(), re.MULTILINE)
    rendered = {"rendered/listen.conf", "rendered/upstreams.conf"}
    assert {"nginx.conf", "gate", *included} - rendered <= set(copied)
    assert rendered <= set(included)


def test_the_gateway_listens_where_it_is_published_and_asked() -> None:
    text = (ROOT / GATEWAY).read_text()
    [port] = re.findall(r"^listen (\d+);$", text, re.MULTILINE)
    [health] = re.findall(r"^listen 127\.0\.0\.1:(\d+);$", text, re.MULTILINE)
    assert f"/dev/tcp/127.0.0.1/{health} " in text
    assert f"s/:*{port}/& ssl/" in text
    assert int(port) == GATEWAY_PORT


def test_docker_waits_longer_for_the_gateway_than_supervisord_for_nginx() -> None:
    programs = configparser.ConfigParser(interpolation=None)
    programs.read(ROOT / "nginx/supervisord.conf")
    grace = re.search(r"stop_grace_period: (\d+)s", (ROOT / "compose/compose.yaml").read_text())
    assert grace
    assert int(grace[1]) > programs.getint("program:nginx", "stopwaitsecs")
    assert programs["program:nginx"]["stopsignal"] == "QUIT"


def test_a_worker_that_starts_has_a_quarter_of_what_serves_has() -> None:
    given = {
        name: int(re.findall(r"^ +cpu_shares: (\d+) ", (ROOT / f"compose/{name}.yaml").read_text(), re.MULTILINE)[0])
        for name in ("compose", "worker")
    }
    assert given == {"compose": shares.SERVING, "worker": shares.SERVING // 4}


def test_all_images_fetch_debians_packages_in_the_same_way() -> None:
    """No Dockerfile can take a part of another one: only what apt is asked for in the end may differ."""
    files = (WORKER, GATEWAY, "compose/observability/Dockerfile", "scripts/host/updated-base.Dockerfile")
    text = "\n".join(line for file in files for line in instructions(file))
    heads = re.findall(r"^RUN .*<<'END'\n(?:(?!END).*\n)*?.* update$", text, re.MULTILINE)
    assert len(heads) == 5
    assert len(set(heads)) == 1
