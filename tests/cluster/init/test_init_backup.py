"""`make backup` on the manager of a swarm, and `make restore` on a bare server after that manager is lost."""

import os
import subprocess

from tests.cluster.init.bundles import Image
from tests.cluster.init.conftest import Site
from tests.cluster.init.hosts import Host
from tests.cluster.init.trees import difference, tree

ORDER = ("--bundle", "/media/bundle", "--models", "/media/bundle/models")
KIT, FILE, ARCHIVE = "/opt/wanwu/kit", "/etc/wanwu/cluster.toml", "/media/backup.tar.gz"
EDITED = 'port = 9000\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n'
MADE = f"""
set -e
printf '%s' '{EDITED}' >{FILE}
mkdir -p {KIT}/models/mine /etc/wanwu/tls
echo kept >{KIT}/models/mine/model.toml
echo secret >/etc/wanwu/own.key
chmod 400 /etc/wanwu/own.key
echo certificate >/etc/wanwu/tls/server.crt
echo state | docker config create wanwu-test -
docker node update --label-add wanwu.server=one one
"""
STATE = (
    "docker config ls --format '{{.Name}}'; docker swarm join-token --quiet worker; docker node ls --format '{{.ID}}'"
)


def make(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in the kit, which it leaves as it is."""
    return host.run("env", "PYTHONDONTWRITEBYTECODE=1", "make", "-C", KIT, *arguments)


def set_up(host: Host, *swarm: str) -> None:
    done = host.init(*ORDER, *swarm)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_lost_managers_swarm_and_configuration_go_on_on_a_bare_server(site: Site, tiny: Image) -> None:
    media = site.carry([], [tiny])
    one = site.host_with_docker("one", media)
    set_up(one, "--first")
    one.says("sh", "-c", MADE)
    state = one.says("sh", "-c", STATE)
    assert state.splitlines()[0] == "wanwu-test"
    assert make(one, "backup", f"OUT={ARCHIVE}").returncode == 0
    archive = media / "backup.tar.gz"
    assert os.stat(archive).st_mode & 0o777 == 0o600
    assert one.says("docker", "node", "inspect", "self", "--format", "{{.Status.State}}") == "ready"
    refused = make(one, "restore", f"FILE={ARCHIVE}")
    assert "!! found a server that is in a swarm, needed one that is in none" in refused.stderr
    one.shut_down()

    two = site.host_with_docker("two", media, "10.77.0.2")
    bare = tree(two)
    set_up(two)
    before = tree(two)
    (media / "half.tar.gz").write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    refused = make(two, "restore", "FILE=/media/half.tar.gz")
    assert refused.returncode != 0
    assert "needed a whole archive that `make backup` wrote" in refused.stderr
    assert difference(before, tree(two)) == ""

    done = make(two, "restore", f"FILE={ARCHIVE}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert two.says("sh", "-c", STATE) == state
    assert two.says("docker", "node", "ls", "--format", "{{.Hostname}} {{.Status}} {{.ManagerStatus}}") == (
        "two Ready Leader"
    )
    assert two.says("docker", "node", "inspect", "self", "--format", '{{index .Spec.Labels "wanwu.server"}}') == "one"
    assert two.says("cat", FILE, f"{KIT}/models/mine/model.toml", "/etc/wanwu/own.key").splitlines() == [
        *EDITED.splitlines(), "kept", "secret"
    ]  # fmt: skip
    assert two.says("stat", "-c", "%a", "/etc/wanwu/own.key") == "400"
    assert two.says("ls", "/etc/wanwu/cluster.toml.before-restore")

    gone = two.init("--uninstall")
    assert (gone.returncode, gone.stderr) == (0, "")
    two.says("rm", "-r", "/etc/wanwu", "/var/lib/wanwu")
    assert difference(bare, tree(two)) == ""
