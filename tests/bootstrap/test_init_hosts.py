"""Two servers over their life.

`make init HOSTS=...` over real SSH, from the machine of whoever runs them; a newer bundle on both while tasks run, and
the older one again; a manager that is lost, and its swarm from a backup on the other server.
"""

import os
import shutil
import subprocess
from pathlib import Path

from scripts.bootstrap.checks.bundle import age_note
from scripts.cluster.config import ROOT
from tests.bootstrap import bundles
from tests.bootstrap.bundles import Image
from tests.bootstrap.conftest import Site
from tests.bootstrap.hosts import Host, connect
from tests.bootstrap.test_init_kit import BEFORE, A, B, kit
from tests.bootstrap.test_init_server import slots
from tests.bootstrap.trees import difference, tree
from tests.bundles import make_model
from tests.service import bare_environment
from tests.wait import until

THERE = "/root/wanwu-bundle"
ORDER = ("--bundle", THERE, "--models", f"{THERE}/models")
ODD = """ 万物 "two" 'words' \\ $HOME 😀"""
CLUSTER = """[[models]]
name = "photos"
folder = "worker/photos"
[[servers]]
name = "one"
address = "10.77.0.1"
workers = 2
[[servers]]
name = "two"
address = "10.77.0.2"
workers = 1
"""
CHANGES = 16  # of a server that has Docker, without systemd
# A task on each server that needs nothing but what the server has.
STILL = """
for place in /usr /lib64 /lib; do set -- "$@" --mount type=bind,ro,source=$place,target=$place; done
docker service create --quiet --name still --mode global --no-resolve-image --restart-condition none "$@" \
    wanwu-tiny:test /usr/bin/sleep infinity
"""
LIFE = "docker ps --quiet --no-trunc; cat /run/docker.pid"
KIT, FILE, ARCHIVE = "/opt/wanwu/kit", "/etc/wanwu/cluster.toml", "/media/backup.tar.gz"
EDITED = 'port = 9000\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n'
OWN = f"""
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
EXPIRED = "SWMTKN-1-" + "a" * 50 + "-" + "b" * 25 + "@10.77.0.1"
# sshd takes the connection from its standard input, as inetd gives it: no network leads into these hosts.
CONFIG = """
Host {name}
    ProxyCommand nsenter --target {pid} --mount --net --pid --uts --root --wd /usr/sbin/sshd -i -e
    User root
    IdentityFile {key}
    IdentitiesOnly yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
"""


def let_in(host: Host, public_key: str) -> None:
    (host.root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (host.root / "root/.ssh/authorized_keys").write_text(public_key)
    host.says("mkdir", "/run/sshd")


def ssh(folder: Path, hosts: list[Host]) -> str:
    """An ssh that reaches the hosts by their names, and nothing else."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for host in hosts:
        let_in(host, key.with_suffix(".pub").read_text())
    config = folder / "ssh_config"
    config.write_text("".join(CONFIG.format(name=host.name, pid=host.pid, key=key) for host in hosts))
    return f"ssh -F {config}"


def make_init(folder: Path, program: str, hosts: str, bundle: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "init", f"HOSTS={hosts}", f"BUNDLE={bundle}"]
    environ = bare_environment() | {"WANWU_SSH": program}
    command += [
        f"CLUSTER={folder / 'cluster.toml'}",
        f"RUN_DIR={folder / 'run'}",
        f"SIGNERS={folder / 'media/signers'}",
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environ)


def make(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in the kit, which it leaves as it is."""
    return host.run("env", "PYTHONDONTWRITEBYTECODE=1", "make", "-C", KIT, *arguments)


def nodes(host: Host) -> list[str]:
    return sorted(host.says("docker", "node", "ls", "--format", "{{.Hostname}} {{.Status}}").splitlines())


def life(*hosts: Host) -> list[str]:
    """What runs on the hosts: their containers and their Docker."""
    return [host.says("sh", "-c", LIFE) for host in hosts]


def test_two_servers_become_a_swarm_take_a_newer_bundle_and_the_older_again_and_survive_the_loss_of_the_manager(
    site: Site, tiny: Image
) -> None:
    odd = make_model(site.folder / ODD)
    bundle = site.carry([], [tiny], odd) / "bundle"
    bundles.renew(bundle, A, BEFORE)
    empty = site.folder / "empty"
    empty.mkdir()
    one = site.host_with_docker("one", empty)
    two = site.host_with_docker("two", empty, "10.77.0.2")
    connect(one, two, "10.77.0.2")
    program = ssh(site.folder, [one, two])
    bare = tree(two)
    # What a connection that broke has left of a large file, and a file that is damaged.
    large = max(bundle.rglob("*"), key=lambda path: path.stat().st_size)
    place = one.root / "root/wanwu-bundle" / large.relative_to(bundle)
    place.parent.mkdir(parents=True)
    place.write_bytes(large.read_bytes()[:2_000_000])
    (one.root / "root/wanwu-bundle/MANIFEST.json").write_text("damaged")
    (site.folder / "cluster.toml").write_text(CLUSTER)

    done = make_init(site.folder, program, "one two root@nowhere.invalid", bundle)
    lines = [line for line in done.stderr.splitlines() if line.startswith("!! ")]
    assert [line.partition(" (")[0] for line in lines] == ["!! root@nowhere.invalid: cannot connect"], done.stderr
    assert done.returncode != 0
    for name in ("one", "two"):
        assert f"-- {name}: {name} is a member, changes made: {CHANGES}" in done.stdout
    assert [line for line in done.stdout.splitlines() if "make up" in line] == [
        "-- one: to serve: list servers and models in /etc/wanwu/cluster.toml, then: cd /opt/wanwu/kit && make up"
    ]
    assert nodes(one) == ["one Ready", "two Ready"]
    assert "SWMTKN" not in "".join(path.read_text() for path in (site.folder / "run/init").iterdir())
    assert (site.folder / "run/init/two.log").read_text().count("-> ") == CHANGES
    assert os.stat(site.folder / "run/init/one.log").st_mode & 0o777 == 0o600

    assert (len(slots(one)), len(slots(two))) == (2, 1)
    assert two.says("cat", FILE) == CLUSTER.strip()
    assert one.says("ls", "/srv/wanwu/models").splitlines() == [ODD.strip(), "photos"]

    both_take_a_newer_bundle_and_the_older_again_while_tasks_run(site.folder, program, bundle, one, two)
    two.says("docker", "swarm", "leave")
    before = tree(two)
    refused = two.run("bash", f"{THERE}/init-server.sh", *ORDER, "--join-file", "-", given=EXPIRED)
    assert refused.returncode == 1
    assert difference(before, tree(two)) == ""
    (line,) = refused.stderr.splitlines()
    assert line.startswith("!! the manager at 10.77.0.1:2377 did not accept this server (")
    assert line.endswith("): get a fresh token with `docker swarm join-token worker` there")

    until("one knows that two has left", lambda: "two Down" in nodes(one))
    one.says("docker", "node", "rm", "two")
    one.says("docker", "service", "rm", "still")
    the_managers_swarm_and_configuration_go_on(empty / "backup.tar.gz", one, two)
    gone = two.run("bash", f"{THERE}/init-server.sh", "--uninstall")
    assert (gone.returncode, gone.stderr) == (0, "")
    two.says("rm", "-r", "/etc/wanwu", "/var/lib/wanwu", THERE, f"{Path(THERE).parent}/wanwu-cluster.toml")
    assert difference(bare, tree(two)) == ""


def both_take_a_newer_bundle_and_the_older_again_while_tasks_run(
    folder: Path, program: str, bundle: Path, one: Host, two: Host
) -> None:
    older = folder / "older"
    shutil.copytree(bundle, older)
    one.says("sh", "-c", STILL)
    running, token = life(one, two), one.says("docker", "swarm", "join-token", "--quiet", "worker")
    # As a worker holds a file of its model open.
    one.says("ln", f"{THERE}/MANIFEST.json", "/root/held")
    held = one.says("cat", "/root/held")

    bundles.renew(bundle, B)
    newer = make_init(folder, program, "one two", bundle)
    assert newer.returncode == 0, newer.stderr
    assert one.says("docker", "swarm", "join-token", "--quiet", "worker") != token
    for host in (one, two):
        assert f"-- {host.name}: 2 of " in newer.stdout
        assert f"-- {host.name}: {host.name} is a member, changes made: 2" in newer.stdout
        assert host.says("readlink", KIT) == kit(B)
    assert one.says("cat", "/root/held") == held

    back = make_init(folder, program, "one two", older)
    assert back.returncode == 0, back.stderr
    for host in (one, two):
        assert f"-- {host.name}: {age_note(BEFORE, bundles.CREATED)}" in back.stdout
        assert f"-- {host.name}: {host.name} is a member, changes made: 1" in back.stdout
        assert host.says("readlink", KIT) == kit(A)
    assert life(one, two) == running


def the_managers_swarm_and_configuration_go_on(archive: Path, one: Host, two: Host) -> None:
    """`make backup` on one, which is lost, and `make restore` on two, which is in no swarm."""
    one.says("sh", "-c", OWN)
    state = one.says("sh", "-c", STATE)
    assert state.splitlines()[0] == "wanwu-test"
    assert make(one, "backup", f"OUT={ARCHIVE}").returncode == 0
    assert os.stat(archive).st_mode & 0o777 == 0o600
    assert one.says("docker", "node", "inspect", "self", "--format", "{{.Status.State}}") == "ready"
    refused = make(one, "restore", f"FILE={ARCHIVE}")
    assert "!! found a server that is in a swarm, needed one that is in none" in refused.stderr
    one.says("sh", "-c", one.first.stop)

    before = tree(two)
    archive.with_name("half.tar.gz").write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
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
    assert two.says("ls", f"{FILE}.before-restore")
