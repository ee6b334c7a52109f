"""init-server.sh on bare Debian servers without a network, from a bundle."""

import json
import subprocess
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import parse_cluster
from scripts.runtimes.swarm.deployment import chosen_nodes
from scripts.runtimes.swarm.nodes import Node, parse_node
from tests.bootstrap import bundles
from tests.bootstrap.bundles import Image
from tests.bootstrap.conftest import Site
from tests.bootstrap.hosts import Host, kind
from tests.bootstrap.trees import difference, tree
from tests.wait import until

NOTHING = "nothing changed: {} is up to date"
VOLUME = "/srv/wanwu/models"
MOUNTED = "ro,nosuid,nodev,noexec"
CLASSIFY = """
import http.client, sys
worker = http.client.HTTPConnection("127.0.0.1:8000", timeout=60)
worker.request("POST", "/predict", open(sys.argv[1], "rb").read(), {"Content-Type": "image/jpeg"})
print(worker.getresponse().read().decode())
"""


def changes(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("-> ")]


def set_up_as_shown(host: Host, before: str, *order: str) -> None:
    """Make it a member by `order`, as a dry run shows that itself leaves the tree as it was `before`."""
    dry = host.init(*order, "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert difference(before, tree(host)) == ""

    real = host.init(*order)
    assert (real.returncode, real.stderr) == (0, "")
    assert changes(real.stdout) == changes(dry.stdout)


def classified(host: Host, image: str) -> str:
    """What a worker answers for a golden image of a cat, its model read from the host's mounted volume."""
    settings = {
        "MODEL_DIR": "/srv/wanwu/models/photos", "MODEL": "photos", "WORKER": "photos-0", "SLOT": "alpha-cpu0",
        "CPUS": "0", "BIND": "127.0.0.1:8000", "VOLUME": "/srv/wanwu/models", "VOLUME_ID": "test-volume",
    }  # fmt: skip
    variables = [f"--env=WANWU_{name}={value}" for name, value in settings.items()]
    volume = "--volume=/srv/wanwu/models:/srv/wanwu/models:ro"
    place = ["--network=none", "--env-file=/etc/wanwu/offline.env", volume]
    host.says("docker", "run", "--detach", "--name=worker", *place, *variables, image)
    ready = "until [ $(docker inspect --format '{{.State.Health.Status}}' worker) = healthy ]; do sleep 2; done"
    host.says("sh", "-c", ready)
    image = "/srv/wanwu/models/photos/golden/cat.jpg"
    answer = json.loads(host.says("docker", "exec", "worker", "python3", "-c", CLASSIFY, image))
    host.says("docker", "rm", "--force", "worker")
    return str(answer["predictions"][0]["label_en"])


def read_in_a_container(host: Host, path: str) -> str:
    """With the host's programs: there are none in the image."""
    places = [f"--volume={place}:{place}:ro" for place in ("/usr", "/lib64", "/lib", VOLUME)]
    return host.says("docker", "run", "--rm", "--network=none", *places, "wanwu-tiny:test", "/usr/bin/cat", path)


def test_a_debian_13_killed_at_every_kind_of_change_becomes_a_member_all_the_same_with_an_image_file_as_volume(
    site: Site, tiny: Image, worker: Image
) -> None:
    media = site.carry(["debian-13"], [tiny])  # which is read whole at every start
    volume_image(media / "volume.img", media / "bundle/models")
    host = site.host("trixie", "beta", media)
    order = ["--bundle", "/media/bundle", "--models", "/media/volume.img", "--first"]
    before = tree(host)
    planned = {kind(line) for line in changes(host.init(*order, "--dry-run").stdout)}

    killed: set[str] = set()
    at, printed = host.init_killed_at_new_change(killed, *order)
    while at:
        killed |= at
        if "unpack" in at:  # which only begins when all packages are installed
            bundles.leave_out_packages(media / "bundle")
        at, printed = host.init_killed_at_new_change(killed, *order)
    assert killed == planned, printed

    bundles.add_image(media / "bundle", worker)
    at, printed = host.init_killed_at_new_change(killed - {"load"}, *order)
    assert at == {"load"}, printed
    again = host.init(*order)
    assert (again.returncode, again.stderr) == (0, "")

    made = tree(host)
    assert NOTHING.format("beta") in host.init(*order).stdout
    assert difference(made, tree(host)) == ""
    assert host.says("findmnt", "-no", "FSTYPE", "/srv/wanwu/models") == "ext4"
    assert classified(host, worker.reference) == "Egyptian cat"

    gone = host.init("--uninstall")
    assert (gone.returncode, gone.stderr) == (0, "")
    assert difference(before, tree(host)) == ""


def volume_image(file: Path, models: Path) -> None:
    """An ext4 file system with the models in it."""
    command = ["mkfs.ext4", "-q", "-d", str(models), str(file), "64M"]
    subprocess.run(command, check=True, capture_output=True)


def test_the_slots_are_those_that_the_operators_file_asks_for_and_the_manager_can_tell(site: Site, tiny: Image) -> None:
    media = site.carry([], [tiny])
    host = site.host_with_docker("epsilon", media)
    models = '[[models]]\nname = "photos"\nfolder = "worker/photos"\n'
    table = '[[servers]]\nname = "epsilon"\naddress = "10.77.0.1"\n'
    order = ["--bundle", "/media/bundle", "--models", "/media/bundle/models", "--first", "--cluster", "/media/c.toml"]
    (media / "c.toml").write_text(f'{models}{table}cpus = "0"\nworkers = 1\n')
    before = tree(host)
    status, printed = host.init_interrupted_at("-> restart Docker", *order)
    assert (status, "!! restart Docker failed (a signal asked to stop)" in printed) == (130, True), printed
    assert difference(before, tree(host)) == ""
    host.says("docker", "version")
    set_up_as_shown(host, before, *order)

    assert slots(host) == {"epsilon-cpu0": {"cpus": "0", "gpu": ""}}
    one = parse_cluster((media / "c.toml").read_text(), "c.toml")
    assert chosen_nodes(one, one.servers, [own_node(host)])["epsilon"].slots == ("epsilon-cpu0",)
    other = parse_cluster(models + table, "c.toml")
    with pytest.raises(CommandError) as refusal:
        chosen_nodes(other, other.servers, [own_node(host)])
    assert [line.partition(",")[0] for line in refusal.value.lines] == [
        'c.toml: servers/0/cpus: found "auto"', 'c.toml: servers/0/workers: found "auto"'
    ]  # fmt: skip

    (media / "c.toml").write_text(models + table)
    again = host.init(*order)
    assert (again.returncode, again.stderr) == (0, "")
    assert [line.split()[1] for line in changes(again.stdout)] == ["write", "write", "restart"]
    until("the engine tells what its slots are made from now", lambda: own_node(host).slot_keys == {})
    assert chosen_nodes(other, other.servers, [own_node(host)])["epsilon"].slots == tuple(slots(host))


def slots(host: Host) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((host.root / "etc/wanwu/slots.json").read_text())["slots"]
    return found


def own_node(host: Host) -> Node:
    """What the swarm's manager says of itself."""
    return parse_node(json.loads(host.says("docker", "node", "inspect", "self"))[0])
