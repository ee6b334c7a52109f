"""The compose runtime: one container per slot and one for the gateway, on this machine's Docker engine."""

from collections.abc import Collection, Iterable, Iterator
from functools import partial

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.keys import gate_keys
from scripts.host import certificates, docker, images, selinux, systemd
from scripts.host.certificates import SERVED
from scripts.host.images import Image
from scripts.host.names import own_names
from scripts.render import compose as render_compose
from scripts.render.common import members
from scripts.runtimes import unit_file
from scripts.runtimes.checks import check_capacity, check_writable
from scripts.runtimes.compose.containers import arguments, boot_unit, containers, nginx_workers, run_compose, watch
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.preflight import listen_faults, memory_faults, memory_limit, port_faults
from scripts.runtimes.request_lines import Line
from scripts.runtimes.rolling import replace_each
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Checks, SideBySide
from scripts.runtimes.waiting import wait_in_rotation


class ComposeRuntime(SideBySide):
    """Docker Compose on this machine. If the first start fails, nothing is left running."""

    name = "compose"
    members = "members/members.json"
    keys = "members/keys.json"

    def suits(self, servers: int) -> bool:
        return docker.engine_fault() is None

    def up(self, cluster: Cluster, run: RunDir, boot: bool = True) -> Deployment:
        deployment = self.plan(cluster, run)
        self.start_all(deployment)
        if boot and systemd.fault() is None:
            docker.enable_at_boot()
            unit_file.enable(run, boot_unit(run, [model.folder.resolve() for model in cluster.models]))
            systemd.require("start", unit_file.unit_name(run))
        else:
            unit_file.leave(run)
        return deployment

    def after_reboot(self, run: RunDir) -> str:
        return docker.after_reboot()

    def start_all(self, deployment: Deployment) -> None:
        """Build missing images, start the containers of `deployment`, and wait until every worker is in rotation."""
        run = deployment.run
        is_first_start = not self.is_running(run)
        if is_first_start:
            if faults := listen_faults(deployment.cluster.listen):
                raise CommandError(*(f"{deployment.cluster.source}: {fault}" for fault in faults))
            memory = memory_faults(deployment.plan, deployment.hardware, deployment.models, deployment.cluster.settings)
            labels = selinux.faults([model.folder.resolve() for model in deployment.cluster.models])
            if faults := [*port_faults([deployment.cluster.port]), *memory, *labels]:
                raise CommandError(*faults)
            run.remove()  # files of a runtime that has stopped serving
        self.build_artifacts(deployment)
        self.write(deployment)
        step("starting workers and the gateway")
        try:
            run_compose(run, "up", "--detach", "--remove-orphans")
            self.wait(deployment)
        except (CommandError, KeyboardInterrupt):
            if is_first_start:
                self.down(run)
            raise

    def down(self, run: RunDir) -> None:
        """Stop and remove the containers, networks and cache; images and models stay."""
        if run.runtime is None:
            say("nothing is running")
            return
        _require_engine()
        step("stopping: requests in flight are answered first")
        unit_file.stop(run)
        unit_file.remove(run)
        run_compose(run, "down", "--remove-orphans", "--volumes")
        run.remove()

    def rollout(self, cluster: Cluster, run: RunDir) -> None:
        deployment = self.plan(cluster, run)
        if not self.is_running(run):
            raise CommandError("nothing is running here: run `make up` first")
        self.build_artifacts(deployment)
        self.write(deployment)

        def replace(worker: str) -> None:
            run_compose(run, "up", "--detach", "--no-deps", "--force-recreate", worker)

        replace_each(deployment, replace, lambda: self.wait(deployment))

    def follow_logs(self, run: RunDir, lines: int, follow: bool) -> None:
        if run.runtime is None:
            raise CommandError(f"{run.path}: no logs: nothing was started here, run `make up`")
        docker.run_streaming([*arguments(run), "logs", "--tail", str(lines), *(["--follow"] if follow else [])])

    def log_lines(self, run: RunDir) -> Iterator[Line]:
        for service in sorted(containers(run)):
            for text in docker.lines([*arguments(run), "logs", "--no-log-prefix", "--no-color", service]):
                yield Line(service, text)

    def is_running(self, run: RunDir) -> bool:
        _require_engine()
        return bool(containers(run))

    def checks(self, run: RunDir, deployment: Deployment | None) -> Checks:
        folders: Checks = {"folders": partial(check_writable, {run.path: "set another with RUN_DIR="})}
        if deployment is None:
            return folders
        port = deployment.cluster.port
        return {"ports and memory": lambda: check_capacity(deployment, [port], running=self.is_running(run)), **folders}

    def build_artifacts(self, deployment: Deployment) -> None:
        """Build the missing ones of the containers' images."""
        images.ensure([images.GATEWAY, *_worker_images(deployment).values()])

    def write(self, deployment: Deployment) -> None:
        """Write the files that Compose and the gateway read."""
        deployment.run.write(self.render(deployment))
        # The gateway reads these folders under an account of its own, which the umask here may lock out.
        (deployment.run.path / self.members).parent.chmod(0o755)
        pem = deployment.run.path / SERVED
        if pem.exists():
            # Of this machine's accounts, only that of this service gets past the folder above.
            pem.parent.parent.chmod(0o700)
            pem.parent.chmod(0o755)
            pem.chmod(0o444)
        selinux.label(deployment.run.path)

    def render(self, deployment: Deployment) -> dict[str, str]:
        cluster, plan = deployment.cluster, deployment.plan
        references = {name: image.reference for name, image in _worker_images(deployment).items()}
        memory = {name: memory_limit(model, cluster.settings) for name, model in deployment.models.items()}
        addresses = {worker.name: f"{worker.name}:{render_compose.PORT}" for worker in plan.workers}
        folder = (deployment.run.path / self.members).parent
        # Another folder without TLS, so that Compose replaces the gateway when TLS is turned on or off.
        tls = (deployment.run.path / SERVED).parent if cluster.tls.enabled else folder
        return {
            "runtime": f"{self.name}\n",
            "compose.env": render_compose.environment(cluster, images.GATEWAY.reference, folder, tls),
            self.keys: gate_keys(cluster),
            **certificates.served(cluster),
            self.members: members(cluster, plan, addresses, own_names()),
            "workers.yaml": render_compose.workers(cluster, plan, references, memory, ROOT / "compose/worker.yaml"),
        }

    def start(self, run: RunDir, worker: str) -> None:
        run_compose(run, "up", "--detach", "--no-deps", "--no-recreate", worker)

    def remove(self, run: RunDir, workers: Iterable[str]) -> None:
        if existing := sorted(containers(run).keys() & set(workers)):
            run_compose(run, "rm", "--stop", "--force", *existing)

    def wait(self, deployment: Deployment, workers: Collection[str] = ()) -> None:
        wait_in_rotation(deployment, watch(deployment, workers), workers)

    def gateway(self, run: RunDir) -> dict[int, str]:
        return nginx_workers(run)


def _worker_images(deployment: Deployment) -> dict[str, Image]:
    return images.worker_images(deployment.models, gpu=bool(deployment.hardware.gpus))


def _require_engine() -> None:
    if fault := docker.engine_fault():
        raise CommandError(fault)
