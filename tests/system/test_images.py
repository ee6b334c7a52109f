"""Images are made beside those before: a changed base asks for another, and a build that fails leaves the old one."""

import subprocess
from collections.abc import Iterator

import pytest

from scripts.host import docker, images
from scripts.host.images import GATEWAY

BASE = "wanwu-test-base:changed"


@pytest.fixture
def changed_base(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In place of the base an image with nothing in it, on which no Dockerfile of ours can be built."""
    images.ensure([GATEWAY])
    subprocess.run(["docker", "import", "-", BASE], input=b"\0" * 1024, check=True, stdout=subprocess.DEVNULL)
    docker.forget_images()
    monkeypatch.setattr(images, "BASE", BASE)
    yield
    docker.run(["image", "rm", BASE])
    docker.forget_images()


def test_a_changed_base_asks_for_another_image_and_a_failed_build_leaves_the_old_one(
    engine: None, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    images.ensure([GATEWAY])
    before, tags = GATEWAY.reference, set(docker.tags(GATEWAY.repository))
    assert GATEWAY.is_current
    assert before == f"{GATEWAY.repository}:{GATEWAY.digest}-{images.base_tag()}"
    request.getfixturevalue("changed_base")
    assert not GATEWAY.is_current
    images.ensure([GATEWAY])
    captured = capfd.readouterr()
    assert f"building {GATEWAY.repository}:{GATEWAY.digest}-{images.base_tag()}" in captured.out
    assert captured.err.splitlines()[-1].endswith(f"on the present {BASE} failed: {before} is still used")
    assert (GATEWAY.reference, set(docker.tags(GATEWAY.repository))) == (before, tags)
