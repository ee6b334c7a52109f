"""`make init HOSTS=...`: over real SSH, to bare servers, from the machine of whoever runs them."""

import os
import subprocess
from pathlib import Path

from scripts.cluster.config import ROOT
from tests.bundles import make_model
from tests.cluster.init.bundles import Image
from tests.cluster.init.conftest import Site, debian_with_sshd
from tests.cluster.init.hosts import Host, connect
from tests.cluster.init.test_init_server import slots
from tests.cluster.init.trees import difference, tree
from tests.service import bare_environment

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
CHANGES = 17  # of a bare server without systemd; one fewer where Docker is installed
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


def make_init(folder: Path, program: str, hosts: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "init", f"HOSTS={hosts}", f"BUNDLE={folder / 'media/bundle'}"]
    environ = bare_environment() | {"WANWU_SSH": program}
    command += [
        f"CLUSTER={folder / 'cluster.toml'}",
        f"RUN_DIR={folder / 'run'}",
        f"SIGNERS={folder / 'media/signers'}",
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environ)


def nodes(host: Host) -> list[str]:
    return sorted(host.says("docker", "node", "ls", "--format", "{{.Hostname}} {{.Status}}").splitlines())


def test_two_bare_servers_become_a_swarm_and_one_that_is_not_there_is_named(site: Site, tiny: Image) -> None:
    odd = make_model(site.folder / ODD)
    media = site.carry(["debian-12"], [tiny], odd)
    empty = site.folder / "empty"
    empty.mkdir()
    one = site.host_of(debian_with_sshd(), "one", empty)
    two = site.host_with_docker("two", empty, "10.77.0.2")
    connect(one, two, "10.77.0.2")
    program = ssh(site.folder, [one, two])
    # What a connection that broke has left of a large file, and a file that is damaged.
    large = max((media / "bundle/packages").rglob("*.deb"), key=lambda path: path.stat().st_size)
    place = one.root / "root/wanwu-bundle" / large.relative_to(media / "bundle")
    place.parent.mkdir(parents=True)
    place.write_bytes(large.read_bytes()[:5_000_000])
    (one.root / "root/wanwu-bundle/MANIFEST.json").write_text("damaged")
    cluster = site.folder / "cluster.toml"
    cluster.write_text(CLUSTER)

    done = make_init(site.folder, program, "one two root@nowhere.invalid")
    lines = [line for line in done.stderr.splitlines() if line.startswith("!! ")]
    assert [line.partition(" (")[0] for line in lines] == ["!! root@nowhere.invalid: cannot connect"], done.stderr
    assert done.returncode != 0
    assert f"-- one: one is a member, changes made: {CHANGES}" in done.stdout
    assert f"-- two: two is a member, changes made: {CHANGES - 1}" in done.stdout
    assert [line for line in done.stdout.splitlines() if "make up" in line] == [
        "-- one: to serve: list servers and models in /etc/wanwu/cluster.toml, then: cd /opt/wanwu/kit && make up"
    ]
    assert nodes(one) == ["one Ready", "two Ready"]
    assert "SWMTKN" not in "".join(path.read_text() for path in (site.folder / "run/init").iterdir())
    assert (site.folder / "run/init/two.log").read_text().count("-> ") == CHANGES - 1
    assert os.stat(site.folder / "run/init/one.log").st_mode & 0o777 == 0o600

    assert (len(slots(one)), len(slots(two))) == (2, 1)
    assert two.says("cat", "/etc/wanwu/cluster.toml") == CLUSTER.strip()
    assert one.says("ls", "/srv/wanwu/models").splitlines() == [ODD.strip(), "photos"]

    token = one.says("docker", "swarm", "join-token", "--quiet", "worker")
    again = make_init(site.folder, program, "one two")
    assert again.returncode == 0, again.stderr
    assert one.says("docker", "swarm", "join-token", "--quiet", "worker") != token
    assert "-- two: 0 of " in again.stdout
    assert "-- one: nothing changed: one is up to date" in again.stdout
    assert "-- two: nothing changed: two is up to date" in again.stdout

    two.says("docker", "swarm", "leave")
    before = tree(two)
    refused = two.run("bash", f"{THERE}/init-server.sh", *ORDER, "--join-file", "-", given=EXPIRED)
    assert refused.returncode == 1
    assert difference(before, tree(two)) == ""
    (line,) = refused.stderr.splitlines()
    assert line.startswith("!! the manager at 10.77.0.1:2377 did not accept this server (")
    assert line.endswith("): get a fresh token with `docker swarm join-token worker` there")
