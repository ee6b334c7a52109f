"""What init-server.sh refuses: one line with what was found and the remedy, and nothing is changed."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.bundle.volume import sentinel
from tests.bootstrap.hosts import Host, confirmed
from tests.bootstrap.test_init_systemd import disk
from tests.bootstrap.trees import difference, stamps
from worker.contract.files import sha256
from worker.contract.version import VERSION

BUNDLE, MODELS = "/media/bundle", "/media/bundle/models"
TOKEN = "SWMTKN-1-" + "a" * 50 + "-" + "b" * 25
LISTEN = "socket(S,2,1,0);bind(S,pack_sockaddr_in(PORT,INADDR_ANY))||die;listen(S,1);$|=1;print 1;sleep"
COVERED = "/proc/meminfo /etc/os-release /usr/bin/uname /usr/bin/python3.11 /media/bundle/MANIFEST.json /etc /var/lib"
NO_PYTHON = "mount --bind /dev/null /usr/bin/python3.11"


def refusal(host: Host, *arguments: str, setup: str = "true", given: str = "") -> str:
    """The one line of a refusal, after `setup` there and before all that is undone."""
    before = stamps(host)
    host.says("sh", "-c", setup)
    try:
        done = host.init(*(arguments or ("--bundle", BUNDLE, "--models", MODELS, "--first")), given=given)
    finally:
        host.says("sh", "-c", f"for path in {COVERED}; do umount -q $path; done; true")
    assert done.returncode == 1, done.stdout
    assert "changes begin here" not in done.stdout
    assert difference(before, stamps(host)) == ""
    (line,) = done.stderr.splitlines()
    return line.removeprefix("!! ")


def over(path: str, text: str) -> str:
    """A script that mounts a file saying `text` over `path`, which thus stays as it is."""
    return f"printf '%s' '{text}' >/tmp/over && mount --bind /tmp/over {path}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fast"], "unknown argument --fast: see /media/bundle/init-server.sh --help"),
        (
            ["--bundle", "/nowhere", "--models", MODELS],
            "found no bundle in /nowhere (MANIFEST.json, SHA256SUMS), needed a directory that `make bundle` wrote: "
            "name it with --bundle",
        ),
        (
            ["--bundle", BUNDLE, "--models", "/nowhere"],
            "found nothing at /nowhere, needed the model volume: "
            "name a device, an image file, a directory or HOST:/PATH with --models",
        ),
        (
            ["--bundle", BUNDLE, "--models", "/usr"],
            "found no .wanwu-volume.json on /usr, needed a model volume: copy all of the bundle's models/ there",
        ),
        (
            ["--bundle", BUNDLE, "--models", "/etc/passwd"],
            "found no file system on /etc/passwd, needed ext4 or xfs: create the volume again",
        ),
        (
            ["--bundle", BUNDLE, "--models", MODELS, "--join-file", "-"],
            "found no manager at 10.77.0.1:2377, needed the first server's: "
            "check the address, the network, and that port 2377 is open there",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(bare: Host, arguments: list[str], said: str) -> None:
    assert refusal(bare, *arguments, given=f"{TOKEN}@10.77.0.1\n") == said


def test_a_server_without_python_needs_that_of_the_system_that_it_derives_from(bare: Host) -> None:
    release = 'ID=mint\nID_LIKE="ubuntu debian"\nVERSION_ID=22\nUBUNTU_CODENAME=noble\nVERSION_CODENAME=wilma\n'
    assert refusal(bare, setup=f"{over('/etc/os-release', release)} && {NO_PYTHON}") == (
        "found no Python 3.11 or newer on this server, nor packages of it for ubuntu-24.04 in the bundle, needed one: "
        "create the bundle with SYSTEMS=ubuntu-24.04"
    )


def test_another_architecture_is_refused(bare: Host) -> None:
    setup = over("/usr/bin/uname", "#!/bin/sh\n[ $1 = -m ] && echo aarch64 || echo bare\n") + " && chmod 755 /tmp/over"
    assert refusal(bare, setup=setup) == (
        "found a server of architecture aarch64, needed x86_64: "
        "create the bundle on a machine of the server's architecture"
    )


def test_no_space_is_refused(bare: Host) -> None:
    # A small disk where Docker's data would go, with what the system has there.
    copied = "mkdir /tmp/lib && cp -a /var/lib/. /tmp/lib"
    setup = f"{copied} && mount -t tmpfs -o size=300m tmpfs /var/lib && cp -a /tmp/lib/. /var/lib"
    line = refusal(bare, setup=setup)
    assert re.fullmatch(
        r"found [23]\d\d MB free for /var/lib/docker, needed \d+: free some space, or mount a larger disk there", line
    )


def test_a_read_only_root_is_refused(bare: Host) -> None:
    assert refusal(bare, setup="mount --bind /etc /etc && mount -o remount,ro,bind /etc") == (
        "found /etc on a read-only file system, needed a writable one: mount -o remount,rw it"
    )


def test_a_clock_before_the_bundle_is_refused(bare: Host) -> None:
    manifest = json.loads(bare.says("cat", f"{BUNDLE}/MANIFEST.json")) | {"created": "2099-01-01T00:00:00Z"}
    line = refusal(bare, setup=over(f"{BUNDLE}/MANIFEST.json", json.dumps(manifest)))
    assert line.startswith("found the clock at 20")
    assert line.endswith(" UTC, before the bundle was created (2099-01-01 00:00:00): set the clock")


def test_a_bundle_that_another_one_signed_is_refused(bare: Host) -> None:
    signer = bare.says("cat", "/media/signers")
    other = f"SHA256:{'A' * 43}"
    assert refusal(bare, "--bundle", BUNDLE, "--models", MODELS, "--signers", other) == (
        f"found a bundle signed by {signer}, needed {other}: compare it with what `make bundle` printed there, "
        f"and add --signers {signer}, or a file of allowed signers"
    )


def test_a_flipped_byte_in_the_bundle_is_refused(bare: Host) -> None:
    manifest = bare.says("cat", f"{BUNDLE}/MANIFEST.json").replace(VERSION, "0.0.0")
    assert refusal(bare, setup=over(f"{BUNDLE}/MANIFEST.json", manifest)) == (
        "found a damaged bundle (MANIFEST.json: FAILED), needed files that match SHA256SUMS: copy it again"
    )


def test_a_folder_for_temporary_files_in_which_no_program_runs_is_refused(bare: Host) -> None:
    bare.says("mount", "-o", "remount,noexec", "/tmp")
    try:
        line = refusal(bare, setup=NO_PYTHON)
    finally:
        bare.says("mount", "-o", "remount,exec", "/tmp")
    assert line.startswith("found that the bundle's Python does not run in /tmp/wanwu-init.")
    assert line.endswith(", needed a folder that is not mounted noexec: name one with TMPDIR=")


def test_what_the_checksums_do_not_list_is_not_run(bare: Host) -> None:
    own = "mount -t tmpfs tmpfs /tmp && cp -r --preserve=mode /media/bundle /tmp/bundle"
    added = "mkdir -p /tmp/scripts/bootstrap && echo junk | tee /tmp/scripts/bootstrap/__main__.py"
    junk = "/tmp/bundle/packages/debian-12/python3.11-minimal_9_amd64.deb"
    bare.says("sh", "-c", f"{own} && {added} >{junk} && {NO_PYTHON}")
    try:
        order = confirmed(["--bundle", "/tmp/bundle", "--models", MODELS, "--dry-run"])
        done = bare.run("bash", "/tmp/bundle/init-server.sh", *order)
    finally:
        bare.says("umount", "/tmp", "/usr/bin/python3.11")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(params=["ext4", "xfs"])
def dirty(request: pytest.FixtureRequest, bare: Host, tmp_path: Path) -> Iterator[Path]:
    """A model volume in a file of the host's root whose journal holds what was not carried out: power was lost."""
    clean, mounted, lost = tmp_path / "clean", tmp_path / "mounted", bare.root / "dirty.img"
    with clean.open("wb") as file:
        file.truncate(300 << 20)
    mounted.mkdir()
    run(f"mkfs.{request.param}", "-q", clean)
    run("mount", "-o", "loop", clean, mounted)
    (mounted / ".wanwu-volume.json").write_text(sentinel({}))
    run("umount", mounted)
    run("mount", "-o", "loop", clean, mounted)
    (mounted / "more").write_text("more")
    run("sync", "--file-system", mounted)
    run("cp", "--sparse=always", clean, lost)
    run("umount", mounted)
    yield lost
    lost.unlink()


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def test_looking_at_a_disk_leaves_its_journal_alone(bare: Host, dirty: Path) -> None:
    before = sha256(dirty)
    with disk(dirty) as device:
        bare.says("rm", "-rf", "/run/blkid")  # for 2 s, libblkid trusts what it read from this loop device before
        done = bare.init("--bundle", BUNDLE, "--models", device, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert sha256(dirty) == before


def test_a_file_with_a_journal_that_a_read_only_mount_cannot_carry_out_is_refused(bare: Host, dirty: Path) -> None:
    before = sha256(dirty)
    assert re.fullmatch(
        r"found /dirty.img not unmounted cleanly \(.*cannot mount /dev/loop\d+ read-only.*\), "
        "needed a cleanly unmounted file: mount it writable with `mount -o loop`, and unmount it",
        refusal(bare, "--bundle", BUNDLE, "--models", "/dirty.img"),
    )
    assert sha256(dirty) == before
    bare.says("sh", "-c", "mkdir -p /tmp/d && mount -o loop /dirty.img /tmp/d && umount /tmp/d")
    assert bare.init("--bundle", BUNDLE, "--models", "/dirty.img", "--dry-run").returncode == 0


def test_a_volume_that_cannot_be_mounted_is_refused(bare: Host, tmp_path: Path) -> None:
    """An ext4 superblock with nothing behind it."""
    image = tmp_path / "broken.img"
    image.write_bytes(bytes(8 << 20))
    subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
    with image.open("r+b") as file:
        file.seek(2048)
        file.write(b"\xff" * (1 << 20))
    place = bare.root / "broken.img"
    place.write_bytes(image.read_bytes())
    try:
        line = refusal(bare, "--bundle", BUNDLE, "--models", "/broken.img")
    finally:
        place.unlink()
    assert line.startswith("found a volume that cannot be mounted, /broken.img (")
    assert line.endswith("): repair it, or name another one with --models")


@contextmanager
def listening(host: Host, port: int) -> Iterator[None]:
    """Have something listen there."""
    command = host.command("setsid", "--wait", "perl", "-MSocket", "-e", LISTEN.replace("PORT", str(port)))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.read(1) == b"1"
        try:
            yield
        finally:
            host.kill_session("perl")
            holder.kill()


def test_the_gateways_port_in_use_is_refused_whichever_cluster_toml_names(bare: Host) -> None:
    said = "found port {} (tcp) in use, needed it for the gateway: stop the process that listens there"
    text = 'port = 9001\\n[[models]]\\nname = "photos"\\nfolder = "worker/photos"\\n'
    bare.says("sh", "-c", f"printf '{text}' >/tmp/c.toml && sed s/9001/0/ /tmp/c.toml >/tmp/faulty.toml")
    own = ("--bundle", BUNDLE, "--models", MODELS, "--first", "--cluster", "/tmp/c.toml")
    with listening(bare, 8080):
        assert refusal(bare) == said.format(8080)
    with listening(bare, 9001):
        assert refusal(bare, *own) == said.format(9001)
    assert refusal(bare, *own[:-1], "/tmp/faulty.toml") == (
        "/tmp/faulty.toml: port: found 0, needed a port from 1 to 65535"
    )


def test_a_docker_that_does_not_run_is_refused(bare: Host) -> None:
    program = "#!/bin/sh\necho no such library >&2\nexit 127\n"
    bare.says("sh", "-c", 'printf %s "$0" >/usr/bin/dockerd && chmod 755 /usr/bin/dockerd', program)
    try:
        assert refusal(bare) == (
            "found a Docker that does not run (no such library), needed a working one or none: repair it, or remove it"
        )
    finally:
        bare.says("rm", "/usr/bin/dockerd")


def test_there_is_nothing_to_uninstall_on_a_bare_server(bare: Host) -> None:
    before = stamps(bare)
    done = bare.init("--uninstall")
    assert done.returncode == 0
    assert done.stdout == "-- nothing to uninstall: no record in /var/lib/wanwu/init\n"
    assert difference(before, stamps(bare)) == ""
