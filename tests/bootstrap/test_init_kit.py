"""What a later bundle replaces on a server, and what it leaves: cluster.toml, models, the kit before."""

import subprocess
from pathlib import Path

from scripts.bootstrap.checks.bundle import age_note
from scripts.cluster.config import ROOT
from tests.bootstrap import bundles
from tests.bootstrap.bundles import Image
from tests.bootstrap.conftest import Site
from tests.bootstrap.hosts import Host
from tests.bootstrap.test_init_server import NOTHING, changes, set_up_as_shown, slots
from tests.bootstrap.trees import difference, tree

ORDER = ("--bundle", "/media/bundle", "--models", "/media/bundle/models")
A, B, C = (letter * 40 for letter in "abc")
BEFORE = "2025-11-02T08:00:00+00:00"  # when the last of these was made
KITS, KIT, FILE, MODELS = "/opt/wanwu", "/opt/wanwu/kit", "/etc/wanwu/cluster.toml", "/var/lib/wanwu/models"
MODEL = '[[models]]\nname = "photos"\nfolder = "worker/photos"\n'
EDITED = f'port = 9000\n{MODEL}[[servers]]\nname = "zeta"\nworkers = 1\n'
# The kit as earlier versions of the script unpacked it, with what its operator did there.
AS_BEFORE = rf"""
set -e
rm {KIT} {FILE}
mv {KITS}/kit-{A[:12]} {KIT}
cd {KIT}
rm -r run models compose/cluster.toml compose/cluster.default.toml .created .sha256
printf '%s' '{EDITED}' >compose/cluster.toml
mkdir -p models/mine .venv
echo kept >models/mine/model.toml
rmdir {MODELS}
cd /var/lib/wanwu/init
sed -i '/^link\t/d; /^own\t/d; \,^tree\t.*/run$,d; \,^dir\t.*/models$,{{\,/srv,!d}}; s,{KITS}/kit-.*,{KIT},' record
sha256sum <{KIT}/REVISION >kit.sha256
"""


def kits(host: Host) -> list[str]:
    return host.says("sh", "-c", f"cd {KITS} && ls -d kit-*").split()


def kit(revision: str) -> str:
    return f"kit-{revision[:12]}"


def set_up(host: Host, *changed: str) -> str:
    """Run the script; returns what it printed. `changed` are words of the changes' beginnings."""
    done = host.init(*ORDER)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[1] for line in changes(done.stdout)] == list(changed)
    return done.stdout


def write(host: Host, path: str, text: str) -> None:
    host.says("sh", "-c", 'printf %s "$2" >"$1"', "-", path, text)


def test_a_later_bundle_leaves_what_is_the_operators_and_the_kit_before_even_one_of_the_first_releases(
    site: Site, tiny: Image
) -> None:
    media = site.carry([], [tiny])
    host = site.host_with_docker("zeta", media)
    before = tree(host)
    later_bundles_leave_what_is_the_operators(host, media, before)
    a_kit_of_the_first_releases_is_moved_aside(host, media, before)


def later_bundles_leave_what_is_the_operators(host: Host, media: Path, before: str) -> None:
    bundles.renew(media / "bundle", A)
    set_up_as_shown(host, before, *ORDER)
    assert host.says("cat", FILE) == (ROOT / "compose/cluster.toml").read_text().strip()
    assert host.says("readlink", KIT) == kit(A)

    write(host, f"{KIT}/compose/cluster.toml", EDITED)  # a link, whichever name an editor is given
    host.says("sh", "-c", f"mkdir {KIT}/models/mine && echo kept >{KIT}/models/mine/model.toml")
    set_up(host, "write", "write", "restart")
    assert list(slots(host)) == ["zeta-cpu0"]

    bundles.renew(media / "bundle", B)
    said = set_up(host, "unpack", "link")
    assert f"-- to serve: list servers and models in {FILE}, then: cd {KIT} && make up" in said.splitlines()
    assert host.says("cat", FILE) == EDITED.strip()
    assert (host.says("readlink", KIT), kits(host)) == (kit(B), [kit(A), kit(B)])
    assert host.says("cat", f"{KIT}/models/mine/model.toml", f"{KIT}/REVISION").split() == ["kept", B]
    assert '"workers": 1' in host.says("make", "-C", KIT, "slots")
    write(host, FILE, f"{EDITED}prot = 1\n")
    assert f"!! {FILE}: servers/0/prot: unknown key" in host.run("make", "-C", KIT, "slots").stderr
    write(host, FILE, EDITED)

    host.says("ln", "-sfn", kit(A), KIT)  # back to the one before, then to a third
    bundles.renew(media / "bundle", C, BEFORE)
    worker = subprocess.Popen(host.command("sh", "-c", f"cd {KITS}/{kit(B)} && echo && exec sleep 1000"), stdout=-1)
    assert worker.stdout is not None
    worker.stdout.readline()
    said = set_up(host, "unpack", "link")
    assert f"-- {KITS}/{kit(B)} is kept, since something still runs from it" in said.splitlines()
    assert f"-- {age_note(BEFORE, bundles.CREATED)}" in said.splitlines()
    host.kill_session("sleep 1000")
    worker.wait()
    worker.stdout.close()
    set_up(host, "remove")
    assert (host.says("readlink", KIT), kits(host)) == (kit(C), [kit(A), kit(C)])
    assert NOTHING.format("zeta") in host.init(*ORDER).stdout

    host.says("sh", "-c", f"cd {KIT}/compose && sed -i s/9000/9001/ cluster.toml")  # which makes a file of the link
    refused = host.init(*ORDER)
    assert refused.stderr == (
        f"!! found a file {KIT}/compose/cluster.toml instead of a link to {FILE}, needed the link: "
        "move the file there, or remove it\n"
    )
    host.says("mv", f"{KIT}/compose/cluster.toml", FILE)

    gone = host.init("--uninstall")
    assert (gone.returncode, gone.stderr) == (0, "")
    assert gone.stdout.splitlines()[-1] == (
        f"-- this server is restored, except for your own files, which are kept: {FILE} {MODELS}"
    )
    assert host.says("cat", FILE) == EDITED.replace("9000", "9001").strip()
    only_the_operators_is_left(host, before)


def a_kit_of_the_first_releases_is_moved_aside(host: Host, media: Path, before: str) -> None:
    """And its cluster.toml and models are kept."""
    bundles.renew(media / "bundle", A)
    first = host.init(*ORDER)
    assert (first.returncode, first.stderr) == (0, "")
    host.says("sh", "-c", AS_BEFORE)
    bundles.renew(media / "bundle", B)

    host.says("sh", "-c", f"mkdir {KIT}/run && echo local >{KIT}/run/runtime")
    was = tree(host)
    assert host.init(*ORDER).stderr == (
        f"!! found a service (local) that runs from {KIT}/run, needed none while that folder is replaced or removed: "
        f"cd {KIT} && make down\n"
    )
    assert difference(was, tree(host)) == ""
    host.says("rm", "-r", f"{KIT}/run")

    daemon = host.says("cat", "/etc/docker/daemon.json")
    write(host, "/etc/docker/daemon.json", "{")
    failed = host.init(*ORDER)
    assert failed.returncode == 1
    assert host.run("readlink", KIT).returncode == 1  # the folder that it was
    assert kept(host) == (EDITED.strip(), "kept")
    write(host, "/etc/docker/daemon.json", f"{daemon}\n")

    done = host.init(*ORDER)
    assert (done.returncode, done.stderr) == (0, "")
    assert kept(host) == (EDITED.strip(), "kept")
    assert (host.says("readlink", KIT), kits(host)) == (kit(B), [kit(B), "kit-before"])
    assert list(slots(host)) == ["zeta-cpu0"]
    assert host.says("cat", f"{KITS}/kit-before/REVISION") == A
    assert NOTHING.format("zeta") in host.init(*ORDER).stdout

    gone = host.init("--uninstall")
    assert (gone.returncode, gone.stderr) == (0, "")
    only_the_operators_is_left(host, before)


def kept(host: Host) -> tuple[str, str]:
    """cluster.toml and a model, as the kit that serves finds them."""
    return host.says("cat", f"{KIT}/compose/cluster.toml"), host.says("cat", f"{KIT}/models/mine/model.toml")


def only_the_operators_is_left(host: Host, before: str) -> None:
    host.says("test", "-e", f"{MODELS}/mine/model.toml")
    host.says("rm", "-r", FILE, MODELS)
    host.says("rmdir", *(str(Path(path).parent) for path in (FILE, MODELS)))
    assert difference(before, tree(host)) == ""
