"""Where everything lies on a server."""

from pathlib import Path

from scripts.host.offline import SERVER

KITS = Path("/opt/wanwu")
KIT = KITS / "kit"  # a link to the kit that serves
CREATED = ".created"  # in a kit's folder: when its bundle was made
CLUSTER_FILE = Path("/etc/wanwu/cluster.toml")
SIGNERS = Path("/etc/wanwu/signers")  # whose bundles were confirmed here
HARDWARE = Path("/etc/wanwu/hardware.json")
SLOTS = Path("/etc/wanwu/slots.json")
OFFLINE = SERVER
PROFILE = Path("/etc/profile.d/wanwu.sh")
KIT_ASIDE = KITS / "kit-before"  # where a kit of the first releases goes, which was a folder
KEPT = Path("/var/lib/wanwu")
RUN = KEPT / "run"
MODELS = KEPT / "models"
WHEELS = KEPT / "wheels"
VOLUME = Path("/srv/wanwu/models")
FSTAB = Path("/etc/fstab")
UNIT = Path("/etc/systemd/system/srv-wanwu-models.mount")  # as systemd-escape names VOLUME
DROP_IN = Path("/etc/systemd/system/docker.service.d/wanwu.conf")
DAEMON_JSON = Path("/etc/docker/daemon.json")
DOCKER_LOG = Path("/var/log/dockerd.log")
DOCKER_TREES = tuple(map(Path, ("/var/lib/docker", "/var/lib/containerd", "/etc/docker", "/opt/containerd")))
# Made by containerd as a service; other programs also write into them.
DOCKER_FOLDERS = tuple(map(Path, ("/etc/cni", "/etc/cni/net.d")))
STATE = KEPT / "init"
RECORD = STATE / "record"
CLUSTER_SUM = STATE / "cluster.written"  # the sha256 of cluster.toml as it was written
BEFORE = STATE / "before"  # what there was before packages came, and what they brought
BROUGHT = STATE / "brought"
RESTART = STATE / "restart"  # exists while Docker runs with an outdated configuration
