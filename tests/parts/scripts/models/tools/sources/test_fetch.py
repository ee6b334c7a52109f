"""The tool behind `make model-fetch`, in a process of its own, against a hub on this machine."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.models import tools as model_tools
from scripts.models.tools.fetch import FILES, PARTIAL, REPORT
from tests import fake_hubs
from tests.fake_hubs import COMMIT, Hub
from tests.options import model_fetch

VIT = "org/tiny"
WEIGHTS = bytes(range(256)) * 400
SMALL = {"config.json": b'{"model_type": "vit"}', "preprocessor_config.json": b"{}"}
BY_HAND = "or carry the files here by hand and `make model-add SOURCE=PATH`"
NO_SUCH = "{hub} has none such, or it is private: check the name, or set HF_TOKEN"
REMEDY = f"set https_proxy for a proxy, MODELSCOPE_ENDPOINT for a mirror; {BY_HAND}"
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
FLIPPED = hashlib.sha256(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])).hexdigest()


@dataclass(frozen=True)
class Desk:
    """A hub with one repository and one file, and a folder to fetch into."""

    hub: Hub
    path: Path

    @property
    def files(self) -> Path:
        return self.path / "into/files"

    def fetch(self, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        options = model_fetch("--source", source, *arguments)
        with model_tools.start(Path(sys.executable), "fetch", self.path / "into", options, True, **pipes) as tool:
            out, err = tool.communicate()
        return subprocess.CompletedProcess(tool.args, tool.returncode, out, err)

    def refused(self, source: str, *arguments: str) -> list[str]:
        """The lines with which it refuses."""
        done = self.fetch(source, *arguments)
        assert done.returncode == 1, done.stderr
        return [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]

    def fetched(self, source: str, *arguments: str) -> dict[str, str]:
        """What it reports of a success."""
        done = self.fetch(source, *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads((self.path / "into" / REPORT).read_text())

    def held(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.files.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("repository")
    for name, data in {**SMALL, "model.safetensors": WEIGHTS, "tf_model.h5": WEIGHTS, "README.md": b"# tiny\n"}.items():
        (folder / name).write_bytes(data)
    with fake_hubs.running() as hub:
        hub.repositories[VIT] = folder
        yield hub


@pytest.fixture
def desk(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    hub.mend()
    hub.files = {"/files/net.onnx": WEIGHTS}
    (tmp_path / "home").mkdir()
    for name, value in hub.environ(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODELSCOPE_DOWNLOAD_MAX_RETRIES", "0")
    monkeypatch.setenv("MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS", "1")
    return Desk(hub, tmp_path)


@pytest.mark.parametrize("kind", ["hf", "ms"])
def test_a_repository_is_fetched_without_what_serving_does_not_need(desk: Desk, kind: str) -> None:
    report = desk.fetched(f"{kind}:{VIT}")
    assert report == {
        "source": f"{kind}:{VIT}@{COMMIT}", "path": str(desk.files), "loader": "", "architecture": ""
    }  # fmt: skip
    assert desk.held() == {**SMALL, "model.safetensors": WEIGHTS}
    assert list((desk.path / "home").iterdir()) == []


@pytest.mark.parametrize("kind", ["hf", "ms"])
def test_what_is_there_and_right_is_not_fetched_again(desk: Desk, kind: str) -> None:
    desk.fetched(f"{kind}:{VIT}")
    (desk.files / "model.safetensors").write_bytes(WEIGHTS[:-1] + b"?")
    (desk.files / "pytorch_model.bin").write_bytes(b"of an older version")
    desk.hub.mend()
    done = desk.fetch(f"{kind}:{VIT}")
    assert f"   {kind}:{VIT}@{COMMIT}: 0.1 MB to fetch, 1 of 3 files\n   1/1 model.safetensors, 0.1 MB" in done.stdout
    assert desk.held() == {**SMALL, "model.safetensors": WEIGHTS}


def test_an_address_is_fetched_and_recorded_without_its_secrets(desk: Desk) -> None:
    host = desk.hub.address.removeprefix("http://")
    report = desk.fetched(f"http://me:word@{host}/files/net.onnx?signature=secret", "--sha256", DIGEST.upper())
    assert (report["source"], report["path"]) == (f"http://{host}/files/net.onnx", str(desk.files / "net.onnx"))
    assert desk.held() == {"net.onnx": WEIGHTS}


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        (
            f"hf:{VIT}",
            "model.safetensors",
            "model.safetensors: answered 503: try again later, HF_ENDPOINT for a mirror",
        ),
        (f"ms:{VIT}", "model.safetensors", f"no connection: it broke off: needed a network: {REMEDY}"),
        ("{hub}/files/net.onnx", "net.onnx", "net.onnx: answered 503: try again later"),
    ],
)
def test_a_download_that_broke_off_is_gone_on_from(desk: Desk, source: str, name: str, said: str) -> None:
    half = len(WEIGHTS) // 2
    desk.hub.cut[name] = half
    (line,) = desk.refused(source.format(hub=desk.hub.address))
    assert line.endswith(said)
    (part,) = [data for path, data in desk.held().items() if path.endswith(PARTIAL)]
    assert part == WEIGHTS[:half]
    desk.hub.mend()
    desk.fetched(source.format(hub=desk.hub.address))
    assert desk.held()[name] == WEIGHTS
    assert {one.range for one in desk.hub.asked if one.range} == {f"bytes={half}-"}


@pytest.mark.parametrize("source", [f"hf:{VIT}", "{hub}/files/net.onnx"])
def test_a_line_that_breaks_now_and_then_is_got_along_with(desk: Desk, source: str) -> None:
    name = "net.onnx" if source.startswith("{") else "model.safetensors"
    desk.hub.short[name] = 60_000
    done = desk.fetch(source.format(hub=desk.hub.address))
    assert done.returncode == 0, done.stderr
    assert desk.held()[name] == WEIGHTS
    assert {one.range for one in desk.hub.asked if one.range} == {"bytes=60000-"}
    assert done.stdout.splitlines().count("      the connection broke off: going on") == 1


def test_a_part_of_a_file_that_changed_since_is_not_gone_on_from(desk: Desk) -> None:
    desk.hub.cut["net.onnx"] = 1000
    desk.refused(f"{desk.hub.address}/files/net.onnx")
    desk.hub.mend()
    desk.hub.files["/files/net.onnx"] = WEIGHTS[::-1]
    desk.fetched(f"{desk.hub.address}/files/net.onnx")
    assert desk.held() == {"net.onnx": WEIGHTS[::-1]}


@pytest.mark.parametrize("source", [f"hf:{VIT}", f"ms:{VIT}", "{hub}/files/net.onnx"])
def test_a_flipped_byte_is_caught_and_the_file_fetched_anew(desk: Desk, source: str) -> None:
    name = "net.onnx" if source.startswith("{") else "model.safetensors"
    arguments = ["--sha256", DIGEST] if source.startswith("{") else []
    desk.hub.flipped.add(name)
    assert desk.refused(source.format(hub=desk.hub.address), *arguments) == [
        f"{desk.files / name}: found sha256 {FLIPPED}, needed {DIGEST}: it is removed; fetch it again, "
        "and from another mirror if that does not help"
    ]
    assert name not in desk.held()
    desk.hub.mend()
    desk.fetched(source.format(hub=desk.hub.address), *arguments)
    assert desk.held()[name] == WEIGHTS


def test_a_small_file_is_held_to_the_hash_that_git_gives_it(desk: Desk) -> None:
    desk.hub.flipped.add("config.json")
    (line,) = desk.refused(f"hf:{VIT}")
    assert line.startswith(f"{desk.files}/config.json: found git ")


def test_a_git_lfs_pointer_in_place_of_a_file_is_caught(desk: Desk) -> None:
    desk.hub.files["/raw/net.pth"] = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    assert desk.refused(f"{desk.hub.address}/raw/net.pth") == [
        f"{desk.files}/net.pth: found a Git LFS pointer, needed the file that it stands for: "
        "give the address that this is downloaded from, or another mirror"
    ]
    assert desk.held() == {}


def test_a_web_page_in_place_of_a_file_is_caught(desk: Desk) -> None:
    desk.hub.files["/blob/net.pth"] = b"<html>"
    desk.hub.web_pages.add("/blob/net.pth")
    address = f"{desk.hub.address}/blob/net.pth"
    assert desk.refused(address) == [f"SOURCE: found a web page at {address}, needed the address of a model's file"]


def test_a_server_that_tells_neither_size_nor_head_still_gives_a_file(desk: Desk) -> None:
    desk.hub.headless.add("net.onnx")
    desk.hub.lengthless.add("net.onnx")
    try:
        desk.fetched(f"{desk.hub.address}/files/net.onnx")
    finally:
        desk.hub.headless.clear()
        desk.hub.lengthless.clear()
    assert desk.held() == {"net.onnx": WEIGHTS}


def test_a_token_goes_to_the_hub_and_not_to_where_its_files_lie(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    desk.fetched(f"hf:{VIT}")
    shown = {one.path.startswith("/cdn/"): one.authorization for one in desk.hub.asked}
    assert shown == {False: "Bearer hf_secret", True: ""}


def test_the_clients_say_nothing_about_this_machine_that_knows_it_again(desk: Desk) -> None:
    desk.fetched(f"hf:{VIT}")
    assert not any("torch" in one.agent for one in desk.hub.asked)
    desk.hub.mend()
    desk.fetched(f"ms:{VIT}")
    assert {f"session_id/{'0' * 32};" in one.agent for one in desk.hub.asked} == {True}


def test_a_proxy_is_used(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", desk.hub.address)
    desk.fetched("http://models.invalid/files/net.onnx")
    assert desk.held() == {"net.onnx": WEIGHTS}


@pytest.mark.parametrize(
    ("source", "refusal", "arguments", "said"),
    [
        ("hf:org/none", None, (), f"hf:org/none: {NO_SUCH}"),
        (
            "ms:org/none",
            None,
            (),
            "ms:org/none: {hub} has none such, or no such REVISION, or it is private: check the name",
        ),
        (
            f"hf:{VIT}",
            None,
            ("--revision", "v9"),
            f"REVISION: hf:{VIT} has none such: needed a branch, a tag or a commit of it",
        ),
        (
            f"ms:{VIT}",
            None,
            ("--revision", "v9"),
            f"ms:{VIT}: {{hub}} has none such, or no such REVISION, or it is private: check the name",
        ),
        (
            f"hf:{VIT}",
            fake_hubs.GATED,
            (),
            f"hf:{VIT}: gated: accept its terms at {{hub}}/{VIT}, then set HF_TOKEN to a token of yours",
        ),
        (f"hf:{VIT}", (401, "RepoNotFound"), (), f"hf:{VIT}: {NO_SUCH}"),
        (
            f"hf:{VIT}",
            (401, ""),
            (),
            "{hub}/api/models/org/tiny/revision/main: answered 401: needed leave to read it, "
            f"HF_TOKEN for a repository of the Hub; {BY_HAND}",
        ),
        (
            f"ms:{VIT}",
            (401, ""),
            (),
            f"ms:{VIT}: {{hub}} answered 401: needed leave to read it: set MODELSCOPE_API_TOKEN",
        ),
        (
            "{hub}/files/none.pth",
            None,
            (),
            "{hub}/files/none.pth: answered 404, no such file: check the name",
        ),
        ("{hub}/files/", None, (), "SOURCE: found {hub}/files/, needed an address that ends in a file's name"),
        (
            f"hf:{VIT}",
            (500, ""),
            (),
            "{hub}/api/models/org/tiny/revision/main: answered 500: try again later, HF_ENDPOINT for a mirror",
        ),
    ],
)  # fmt: skip
def test_what_a_server_refuses_is_said_in_one_line(
    desk: Desk, source: str, refusal: tuple[int, str] | None, arguments: tuple[str, ...], said: str
) -> None:
    if refusal:
        desk.hub.refused[VIT] = refusal
    address = desk.hub.address
    assert desk.refused(source.format(hub=address), *arguments) == [said.format(hub=address)]


@pytest.mark.parametrize(
    ("source", "mirror"),
    [
        (f"hf:{VIT}", ", HF_ENDPOINT for a mirror"),
        (f"ms:{VIT}", ", MODELSCOPE_ENDPOINT for a mirror"),
        ("torchvision:resnet18", ", WANWU_TORCHVISION_MIRROR for a mirror"),
        ("{dead}/net.pth", ""),
    ],
)
def test_a_dead_endpoint_is_named_with_the_remedies(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, source: str, mirror: str
) -> None:
    with socket.socket() as unheard:  # bound, and nobody listens
        unheard.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        for variable in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "WANWU_TORCHVISION_MIRROR"):
            monkeypatch.setenv(variable, dead)
        assert desk.refused(source.format(dead=dead)) == [
            f"{dead}: no connection: Connection refused: needed a network: "
            f"set https_proxy for a proxy{mirror}; {BY_HAND}"
        ]


def test_a_client_that_is_kept_off_the_network_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert desk.refused(f"hf:{VIT}") == [
        f"hf:{VIT}: found HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE set: unset it to fetch"
    ]


@pytest.fixture
def little_room(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    (tmp_path / "into").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path / "into")]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this account may not mount a file system")
    yield tmp_path / "into"
    subprocess.run(["umount", str(tmp_path / "into")], check=True)


def test_a_disk_too_small_is_found_before_anything_is_fetched(desk: Desk, little_room: Path) -> None:
    free = shutil.disk_usage(little_room).free
    room = f"found {free / 1e6:.1f} MB free, needed 0.1 MB"
    assert desk.refused(f"hf:{VIT}") == [f"{little_room / FILES}: {room}: make room there"]
    assert desk.held() == {}
    assert not any("/resolve/" in one.path for one in desk.hub.asked)


def test_a_disk_that_fills_up_meanwhile_is_said_and_what_came_is_kept(desk: Desk, little_room: Path) -> None:
    source = f"{desk.hub.address}/files/net.onnx"
    desk.hub.lengthless.add("net.onnx")  # so that nobody could know before
    try:
        said = desk.refused(source)
    finally:
        desk.hub.lengthless.clear()
    assert said == [f"{source}: found no space left on the disk, needed room for the rest: make room"]
    ((name, part),) = desk.held().items()
    assert name.endswith(".part")
    assert part == WEIGHTS[: len(part)] != b""
