"""The tool behind `make model-fetch`, with a hub on this machine.

Each run forks from a process that has imported the clients of the hubs, which takes longer than a run. Where it matters
what they read when they are imported, it has a process of its own, as users start it.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

import pytest

from scripts.models import tools as model_tools
from scripts.models.options import FetchModelOptions
from scripts.models.tools import fetch
from scripts.models.tools.fetch import FILES, PARTIAL, REPORT
from tests import fake_hubs
from tests.fake_hubs import COMMIT, Hub
from tests.options import model_fetch

VIT, EXPORTED = "org/tiny", "org/exported"
NETWORKS = ("model.onnx", "model_fp16.onnx", "model_quantized.onnx")  # in a folder of their own
WEIGHTS = bytes(range(256)) * 400
SMALL = {"config.json": b'{"model_type": "vit"}', "preprocessor_config.json": b"{}"}
COPY_FILES = "or copy the files here and run `make model-add SOURCE=PATH`"
NO_SUCH = "{hub} has no such repository, or it is private: check the name, or set HF_TOKEN"
REMEDY = f"set https_proxy for a proxy, MODELSCOPE_ENDPOINT for a mirror; {COPY_FILES}"
FORKS = multiprocessing.get_context("forkserver")
CLIENTS = [f"scripts.models.tools.sources.{name}" for name in ("hugging_face", "modelscope", "fetch_errors")]
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
FLIPPED = hashlib.sha256(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])).hexdigest()


def in_a_fork(folder: Path, options: FetchModelOptions, environ: Mapping[str, str], output: Path) -> None:
    """Run the tool with `environ`; write what it prints to `output`.out and .err."""
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(output.with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.environ.clear()
    os.environ.update(environ)
    sys.exit(fetch.main(folder, options))


@dataclass(frozen=True)
class FetchWorkspace:
    """A hub with one repository and one file, and a folder to fetch into."""

    hub: Hub
    path: Path
    forked: bool

    @property
    def files(self) -> Path:
        return self.path / "into/files"

    def fetch(self, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = model_fetch("--source", source, *arguments)
        if self.forked:
            output = self.path / "printed"
            fork = FORKS.Process(target=in_a_fork, args=(self.path / "into", options, dict(os.environ), output))
            fork.start()
            fork.join()
            out, err = (output.with_suffix(f".{name}").read_text() for name in ("out", "err"))
            return subprocess.CompletedProcess([], fork.exitcode or 0, out, err)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with model_tools.start(Path(sys.executable), "fetch", self.path / "into", options, True, **pipes) as tool:
            out, err = tool.communicate()
        return subprocess.CompletedProcess(tool.args, tool.returncode, out, err)

    def error_lines(self, source: str, *arguments: str) -> list[str]:
        """Fetch, which must fail, and return the error lines."""
        done = self.fetch(source, *arguments)
        assert done.returncode == 1, done.stderr
        return [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]

    def report_of(self, source: str, *arguments: str) -> dict[str, str]:
        """Fetch, which must succeed, and return the report."""
        done = self.fetch(source, *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads((self.path / "into" / REPORT).read_text())

    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.files.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("repository")
    for name, data in {**SMALL, "model.safetensors": WEIGHTS, "tf_model.h5": WEIGHTS, "README.md": b"# tiny\n"}.items():
        (folder / name).write_bytes(data)
    with fake_hubs.running() as hub:
        hub.repositories[VIT] = folder
        hub.repositories[EXPORTED] = folder.with_name("exported")
        (hub.repositories[EXPORTED] / "onnx").mkdir(parents=True)
        for name, data in SMALL.items():
            (hub.repositories[EXPORTED] / name).write_bytes(data)
        for name in NETWORKS:
            (hub.repositories[EXPORTED] / "onnx" / name).write_bytes(WEIGHTS)
        yield hub


def set_up(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.reset()
    hub.files = {"/files/net.onnx": WEIGHTS}
    home.mkdir()
    for name, value in hub.environ(home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODELSCOPE_DOWNLOAD_MAX_RETRIES", "0")
    monkeypatch.setenv("MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS", "1")


@pytest.fixture(scope="module")
def clients(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Start the process that imports the clients."""
    with pytest.MonkeyPatch.context() as patch:
        set_up(hub, tmp_path_factory.mktemp("clients") / "home", patch)
        for name, value in model_tools.online_variables().items():
            patch.setenv(name, value)
        FORKS.set_forkserver_preload([__name__, *CLIENTS])
        forkserver.ensure_running()


@pytest.fixture
def workspace(hub: Hub, clients: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FetchWorkspace:
    set_up(hub, tmp_path / "home", monkeypatch)
    return FetchWorkspace(hub, tmp_path, forked=True)


@pytest.fixture
def own_process(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FetchWorkspace:
    set_up(hub, tmp_path / "home", monkeypatch)
    return FetchWorkspace(hub, tmp_path, forked=False)


@pytest.mark.parametrize("kind", ["hf", "ms"])
def test_only_the_files_that_serving_needs_are_fetched(own_process: FetchWorkspace, kind: str) -> None:
    report = own_process.report_of(f"{kind}:{VIT}")
    assert report == {
        "source": f"{kind}:{VIT}@{COMMIT}",
        "path": str(own_process.files),
        "loader": "",
        "architecture": "",
    }
    assert own_process.content() == {**SMALL, "model.safetensors": WEIGHTS}
    assert list((own_process.path / "home").iterdir()) == []


@pytest.mark.parametrize("kind", ["hf", "ms"])
def test_one_network_of_a_folder_of_exports_is_fetched(workspace: FetchWorkspace, kind: str) -> None:
    workspace.report_of(f"{kind}:{EXPORTED}")
    assert workspace.content() == SMALL
    assert [path.name for path in (workspace.files / "onnx").iterdir()] == ["model.onnx"]
    assert (workspace.files / "onnx/model.onnx").read_bytes() == WEIGHTS


@pytest.mark.parametrize("kind", ["hf", "ms"])
def test_complete_files_are_not_fetched_again(workspace: FetchWorkspace, kind: str) -> None:
    workspace.report_of(f"{kind}:{VIT}")
    (workspace.files / "model.safetensors").write_bytes(WEIGHTS[:-1] + b"?")
    (workspace.files / "pytorch_model.bin").write_bytes(b"left by an older version")
    workspace.hub.reset()
    done = workspace.fetch(f"{kind}:{VIT}")
    assert f"   {kind}:{VIT}@{COMMIT}: 0.1 MB to fetch, 1 of 3 files\n   1/1 model.safetensors, 0.1 MB" in done.stdout
    assert workspace.content() == {**SMALL, "model.safetensors": WEIGHTS}


def test_an_address_is_fetched_and_recorded_without_its_secrets(workspace: FetchWorkspace) -> None:
    host = workspace.hub.address.removeprefix("http://")
    report = workspace.report_of(f"http://me:word@{host}/files/net.onnx?signature=secret", "--sha256", DIGEST.upper())
    assert (report["source"], report["path"]) == (f"http://{host}/files/net.onnx", str(workspace.files / "net.onnx"))
    assert workspace.content() == {"net.onnx": WEIGHTS}


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (
            f"hf:{VIT}",
            "model.safetensors",
            "model.safetensors: answered 503: try again later, HF_ENDPOINT for a mirror",
        ),
        (f"ms:{VIT}", "model.safetensors", f"no connection: it was lost: needed a network: {REMEDY}"),
        ("{hub}/files/net.onnx", "net.onnx", "net.onnx: answered 503: try again later"),
    ],
)
def test_an_interrupted_download_is_resumed(workspace: FetchWorkspace, source: str, name: str, message: str) -> None:
    half = len(WEIGHTS) // 2
    workspace.hub.cut[name] = half
    (line,) = workspace.error_lines(source.format(hub=workspace.hub.address))
    assert line.endswith(message)
    (part,) = [data for path, data in workspace.content().items() if path.endswith(PARTIAL)]
    assert part == WEIGHTS[:half]
    workspace.hub.reset()
    workspace.report_of(source.format(hub=workspace.hub.address))
    assert workspace.content()[name] == WEIGHTS
    assert {one.range for one in workspace.hub.requests if one.range} == {f"bytes={half}-"}


@pytest.mark.parametrize("source", [f"hf:{VIT}", "{hub}/files/net.onnx"])
def test_a_lost_connection_is_resumed_within_one_run(workspace: FetchWorkspace, source: str) -> None:
    name = "net.onnx" if source.startswith("{") else "model.safetensors"
    workspace.hub.short[name] = 60_000
    done = workspace.fetch(source.format(hub=workspace.hub.address))
    assert done.returncode == 0, done.stderr
    assert workspace.content()[name] == WEIGHTS
    assert {one.range for one in workspace.hub.requests if one.range} == {"bytes=60000-"}
    assert done.stdout.splitlines().count("      the connection was lost: resuming") == 1


def test_a_part_of_a_changed_file_is_not_resumed(workspace: FetchWorkspace) -> None:
    workspace.hub.cut["net.onnx"] = 1000
    workspace.error_lines(f"{workspace.hub.address}/files/net.onnx")
    workspace.hub.reset()
    workspace.hub.files["/files/net.onnx"] = WEIGHTS[::-1]
    workspace.report_of(f"{workspace.hub.address}/files/net.onnx")
    assert workspace.content() == {"net.onnx": WEIGHTS[::-1]}


@pytest.mark.parametrize("source", [f"hf:{VIT}", f"ms:{VIT}", "{hub}/files/net.onnx"])
def test_a_flipped_byte_is_detected_and_the_file_fetched_again(workspace: FetchWorkspace, source: str) -> None:
    name = "net.onnx" if source.startswith("{") else "model.safetensors"
    arguments = ["--sha256", DIGEST] if source.startswith("{") else []
    workspace.hub.flipped.add(name)
    assert workspace.error_lines(source.format(hub=workspace.hub.address), *arguments) == [
        f"{workspace.files / name}: found sha256 {FLIPPED}, needed {DIGEST}: the file was removed; fetch it again, "
        "if necessary from another mirror"
    ]
    assert name not in workspace.content()
    workspace.hub.reset()
    workspace.report_of(source.format(hub=workspace.hub.address), *arguments)
    assert workspace.content()[name] == WEIGHTS


def test_a_small_file_is_checked_against_its_git_blob_id(workspace: FetchWorkspace) -> None:
    workspace.hub.flipped.add("config.json")
    (line,) = workspace.error_lines(f"hf:{VIT}")
    assert line.startswith(f"{workspace.files}/config.json: found git ")


def test_a_git_lfs_pointer_instead_of_a_file_is_refused(workspace: FetchWorkspace) -> None:
    workspace.hub.files["/raw/net.pth"] = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    assert workspace.error_lines(f"{workspace.hub.address}/raw/net.pth") == [
        f"{workspace.files}/net.pth: found a Git LFS pointer, needed the file that it stands for: "
        "use the file's download address, or another mirror"
    ]
    assert workspace.content() == {}


def test_a_web_page_instead_of_a_file_is_refused(workspace: FetchWorkspace) -> None:
    workspace.hub.files["/blob/net.pth"] = b"<html>"
    workspace.hub.web_pages.add("/blob/net.pth")
    address = f"{workspace.hub.address}/blob/net.pth"
    assert workspace.error_lines(address) == [
        f"SOURCE: found a web page at {address}, needed the address of a model's file"
    ]


def test_a_file_is_fetched_from_a_server_without_head_and_content_length(workspace: FetchWorkspace) -> None:
    workspace.hub.without_head.add("net.onnx")
    workspace.hub.without_length.add("net.onnx")
    try:
        workspace.report_of(f"{workspace.hub.address}/files/net.onnx")
    finally:
        workspace.hub.without_head.clear()
        workspace.hub.without_length.clear()
    assert workspace.content() == {"net.onnx": WEIGHTS}


def test_a_token_is_sent_to_the_hub_and_not_to_its_file_servers(
    workspace: FetchWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    workspace.report_of(f"hf:{VIT}")
    authorizations = {one.path.startswith("/cdn/"): one.authorization for one in workspace.hub.requests}
    assert authorizations == {False: "Bearer hf_secret", True: ""}


def test_the_clients_send_nothing_that_identifies_this_machine(own_process: FetchWorkspace) -> None:
    own_process.report_of(f"hf:{VIT}")
    assert not any("torch" in one.agent for one in own_process.hub.requests)
    own_process.hub.reset()
    own_process.report_of(f"ms:{VIT}")
    assert {f"session_id/{'0' * 32};" in one.agent for one in own_process.hub.requests} == {True}


def test_a_proxy_is_used(workspace: FetchWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", workspace.hub.address)
    workspace.report_of("http://models.invalid/files/net.onnx")
    assert workspace.content() == {"net.onnx": WEIGHTS}


@pytest.mark.parametrize(
    ("source", "response", "arguments", "message"),
    [
        ("hf:org/none", None, (), f"hf:org/none: {NO_SUCH}"),
        (
            "ms:org/none",
            None,
            (),
            "ms:org/none: {hub} has no such repository or REVISION, or it is private: check the name",
        ),
        (
            f"hf:{VIT}",
            None,
            ("--revision", "v9"),
            f"REVISION: hf:{VIT} has no such revision: needed one of its branches, tags or commits",
        ),
        (
            f"ms:{VIT}",
            None,
            ("--revision", "v9"),
            f"ms:{VIT}: {{hub}} has no such repository or REVISION, or it is private: check the name",
        ),
        (
            f"hf:{VIT}",
            fake_hubs.GATED,
            (),
            f"hf:{VIT}: gated: accept its terms at {{hub}}/{VIT}, then set HF_TOKEN to your access token",
        ),
        (f"hf:{VIT}", (401, "RepoNotFound"), (), f"hf:{VIT}: {NO_SUCH}"),
        (
            f"hf:{VIT}",
            (401, ""),
            (),
            "{hub}/api/models/org/tiny/revision/main: answered 401: needed permission to read it: "
            f"set HF_TOKEN for a repository of the Hub, {COPY_FILES}",
        ),
        (
            f"ms:{VIT}",
            (401, ""),
            (),
            f"ms:{VIT}: {{hub}} answered 401: needed permission to read it: set MODELSCOPE_API_TOKEN",
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
)
def test_an_error_of_a_server_is_one_line(
    workspace: FetchWorkspace, source: str, response: tuple[int, str] | None, arguments: tuple[str, ...], message: str
) -> None:
    if response:
        workspace.hub.refused[VIT] = response
    address = workspace.hub.address
    assert workspace.error_lines(source.format(hub=address), *arguments) == [message.format(hub=address)]


@pytest.mark.parametrize(
    ("source", "mirror"),
    [
        (f"hf:{VIT}", ", HF_ENDPOINT for a mirror"),
        (f"ms:{VIT}", ", MODELSCOPE_ENDPOINT for a mirror"),
        ("{dead}/net.pth", ""),
    ],
)
def test_an_unreachable_server_is_named_with_the_remedies(
    own_process: FetchWorkspace, monkeypatch: pytest.MonkeyPatch, source: str, mirror: str
) -> None:
    with socket.socket() as silent:  # bound, but not listening
        silent.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for variable in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
            monkeypatch.setenv(variable, dead)
        assert own_process.error_lines(source.format(dead=dead)) == [
            f"{dead}: no connection: Connection refused: needed a network: "
            f"set https_proxy for a proxy{mirror}; {COPY_FILES}"
        ]


def test_offline_mode_is_reported(own_process: FetchWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert own_process.error_lines(f"hf:{VIT}") == [
        f"hf:{VIT}: found HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE set: unset it to fetch"
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 64 kB on the folder to fetch into."""
    (tmp_path / "into").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path / "into")]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this account may not mount a file system")
    yield tmp_path / "into"
    subprocess.run(["umount", str(tmp_path / "into")], check=True)


def test_a_disk_that_is_too_small_is_reported_before_anything_is_fetched(
    workspace: FetchWorkspace, small_disk: Path
) -> None:
    free = shutil.disk_usage(small_disk).free
    room = f"found {free / 1e6:.1f} MB free, needed 0.1 MB"
    assert workspace.error_lines(f"hf:{VIT}") == [f"{small_disk / FILES}: {room}: make room there"]
    assert workspace.content() == {}
    assert not any("/resolve/" in one.path for one in workspace.hub.requests)


def test_a_full_disk_is_reported_and_the_downloaded_part_kept(workspace: FetchWorkspace, small_disk: Path) -> None:
    source = f"{workspace.hub.address}/files/net.onnx"
    workspace.hub.without_length.add("net.onnx")  # so that the size is not known beforehand
    try:
        lines = workspace.error_lines(source)
    finally:
        workspace.hub.without_length.clear()
    assert lines == [f"{source}: found no space left on the disk, needed space for the rest: free some space"]
    ((name, part),) = workspace.content().items()
    assert name.endswith(".part")
    assert part == WEIGHTS[: len(part)] != b""
