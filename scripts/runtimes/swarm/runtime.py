"""The swarm runtime: on several servers, one service per model with a task per slot, and a service of gateways."""

import os
import subprocess
from collections.abc import Iterator, Mapping

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.keys import gate_keys
from scripts.host import certificates, docker, images, offline
from scripts.host.images import Image
from scripts.host.updates import of_images
from scripts.render import swarm as render_swarm
from scripts.runtimes.preflight import memory_limit
from scripts.runtimes.request_lines import Line
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Runtime, Updates
from scripts.runtimes.swarm import consensus, managers, status
from scripts.runtimes.swarm import deployment as swarm_deployment
from scripts.runtimes.swarm.deployment import SwarmDeployment
from scripts.runtimes.swarm.network import faults_here
from scripts.runtimes.swarm.nodes import GATEWAY, SERVER, STACK, Service, read_nodes, read_services, read_tasks
from scripts.runtimes.swarm.waiting import ROLLED_BACK, Snapshot, take_snapshot, wait, wait_empty, wait_gone

MEMBERS, KEYS, WORKERS = "members.json", "keys.json", "stack-workers.yaml"


class SwarmRuntime(Runtime):
    """Docker Swarm on several servers. An update replaces one worker at a time, and is rolled back if it fails."""

    name = "swarm"

    def suits(self, servers: int) -> bool:
        return servers > 1 and docker.is_swarm_manager()

    def plan(self, cluster: Cluster, run: RunDir) -> SwarmDeployment:
        if cluster.listen:
            raise CommandError(
                f"{cluster.source}: gateway/listen: found {', '.join(cluster.listen)}, needed none under Swarm, where "
                "a gateway listens on every address of its server: leave it out, and close the port in the firewall"
            )
        return swarm_deployment.plan_servers(cluster, run)

    def up(self, cluster: Cluster, run: RunDir, *, force: bool = False, boot: bool = True) -> SwarmDeployment:
        """Start everything on all servers and wait until every worker is in rotation at every gateway.

        If the first start fails, stop everything. Swarm itself rolls every change, so there is nothing to `force`.
        """
        deployment = self.plan(cluster, run)
        is_first_start = not self.is_running(run)
        if is_first_start and (faults := faults_here(cluster)):
            raise CommandError(*faults)
        _require_drained(deployment)
        _require_encryption(cluster.swarm.encrypted)
        self.build_images(deployment)
        files = self.render(deployment)
        run.write(files)
        _label_nodes(deployment)
        managers.appoint(list(deployment.nodes.values()), cluster.swarm.managers)
        if cluster.swarm.autolock:
            managers.lock()
        before = take_snapshot()
        step("starting workers and gateways")
        try:
            _deploy(deployment, files)
            wait(deployment, before)
        except (CommandError, KeyboardInterrupt):
            if is_first_start:
                self.down(run)
            raise
        if boot:
            docker.enable_at_boot()  # here; init-server.sh did on every server that it set up
        return deployment

    def after_reboot(self, run: RunDir) -> str:
        return docker.after_reboot()

    def down(self, run: RunDir) -> None:
        """Stop and remove all tasks, networks and configs on all servers; caches, images and models stay."""
        if not self.is_running(run):
            say("nothing is running")
            run.remove()
            return
        step("stopping: requests in flight are answered first")
        consensus.run(["stack", "rm", STACK])
        wait_gone()
        run.remove()

    def rollout(self, cluster: Cluster, run: RunDir) -> None:
        """Replace the workers one at a time, service by service; raise CommandError if some do not run."""
        _update_services(self.plan(cluster, run), ["service", "update", "--force"])

    def rollback(self, cluster: Cluster, run: RunDir) -> None:
        """Restore every model's service as it was before its last change, one worker at a time.

        Raise CommandError if some workers do not run.
        """
        _update_services(self.plan(cluster, run), ["service", "rollback"], repeatable=False, accepted=ROLLED_BACK)

    def drain(self, cluster: Cluster, run: RunDir, server: str) -> None:
        """Stop everything on `server` after its requests in flight; the other servers take over its share.

        If it manages the swarm another one does so in its place, whether it still answers or not.
        """
        deployment, node = swarm_deployment.plan_without(cluster, run, server)
        step(f"draining {server}: requests in flight are answered first")
        consensus.run(["node", "update", "--availability", "drain", node.id])
        managers.appoint(list(deployment.nodes.values()), cluster.swarm.managers, leaving=node.id)
        wait_empty(node)
        before = take_snapshot()
        for service in read_services():
            if service.replicas is not None and (count := replicas(deployment)[service.name]) != service.replicas:
                consensus.run(["service", "update", "--detach", "--replicas", str(count), service.name])
        wait(deployment, before)
        say(f"\n{server} no longer serves and can be removed: remove its table from {cluster.source} and run `make up`")
        say(f"`make up` with its table still there makes {server} serve again")

    def updates(self, cluster: Cluster, run: RunDir) -> Updates:
        return of_images(image.reference for image in _images(self.plan(cluster, run)))

    def apply_updates(self, cluster: Cluster, run: RunDir) -> None:
        raise CommandError(
            "under Swarm every server needs the same images: run `make update APPLY=1`, `make bundle` and "
            "`make init HOSTS=...` where bundles are made, then `make up` here, which replaces one worker at a time"
        )

    def publish_keys(self, cluster: Cluster, run: RunDir) -> None:
        """Give the gateways the new list as a secret, which replaces them one at a time."""
        deployment = self.plan(cluster, run)
        files = self.render(deployment)
        if not run.has_files({name: text for name, text in files.items() if name != KEYS}):
            raise CommandError(f"{run.path}: the running service differs from {cluster.source}: run `make up`")
        run.write({KEYS: files[KEYS]})
        before = take_snapshot()
        step("replacing the gateways one at a time, so that they know the keys")
        _deploy(deployment, files)
        wait(deployment, before)

    def show_status(self, cluster: Cluster, run: RunDir) -> None:
        status.print_status(cluster)

    def follow_logs(self, run: RunDir, lines: int, follow: bool) -> None:
        if not self.is_running(run):
            raise CommandError("no logs: nothing was started in this swarm, run `make up`")
        options = ["--tail", str(lines), *(["--follow"] if follow else [])]
        processes = [
            subprocess.Popen(["docker", "service", "logs", *options, service.name]) for service in read_services()
        ]
        for process in processes:
            process.wait()

    def log_lines(self, run: RunDir) -> Iterator[Line]:
        for service in read_services():
            for text in docker.lines(["service", "logs", service.name]):
                task, _, line = text.partition("    | ")
                yield Line(task.strip(), line)

    def is_running(self, run: RunDir) -> bool:
        """Return whether the swarm has our stack, no matter where it was started from."""
        if not docker.is_swarm_manager():
            raise CommandError("found no engine that manages a swarm: run this on a manager, or set another RUNTIME=")
        return bool(read_services())

    def build_images(self, deployment: SwarmDeployment) -> None:
        """Build the missing ones of the tasks' images; raise CommandError if that fails."""
        images.ensure(_images(deployment))

    def render(self, deployment: SwarmDeployment) -> dict[str, str]:
        """Return path -> text for the files in the run directory, without writing them."""
        worker_images = images.worker_images(deployment.models, deployment.has_gpus)
        pools = {
            model.name: render_swarm.Pool(
                deployment.replicas[model.name],
                worker_images[model.name].reference,
                memory_limit(deployment.models[model.name], deployment.cluster.settings),
                deployment.volumes[model.name],
                deployment.has_gpus,
            )
            for model in deployment.cluster.models
        }
        certificate = certificates.served(deployment.cluster)
        secret = next(((str(deployment.run.path / path), text) for path, text in certificate.items()), None)
        return {
            "runtime": f"{self.name}\n",
            KEYS: gate_keys(deployment.cluster),
            MEMBERS: render_swarm.members(deployment.cluster, STACK),
            WORKERS: render_swarm.workers(deployment.cluster, pools, offline.variables(), _monitor(), secret),
            **certificate,
        }


def _images(deployment: SwarmDeployment) -> list[Image]:
    return [images.GATEWAY, *images.worker_images(deployment.models, deployment.has_gpus).values()]


def replicas(deployment: SwarmDeployment) -> dict[str, int]:
    """Return service name -> number of tasks that the plan gives it."""
    return {f"{STACK}_{render_swarm.service_name(model)}": count for model, count in deployment.replicas.items()}


def _deploy(deployment: SwarmDeployment, files: Mapping[str, str]) -> None:
    variables = render_swarm.environment(
        deployment.cluster, images.GATEWAY.reference, str(deployment.run.path / MEMBERS), files[MEMBERS], _monitor()
    ) | render_swarm.keys_environment(str(deployment.run.path / KEYS), files[KEYS])
    file_options = [f"--compose-file={file}" for file in (ROOT / "compose/stack.yaml", deployment.run.path / WORKERS)]
    # No registry is needed: every server has the images, under tags that identify their content.
    options = ["--detach=true", "--prune", "--resolve-image=never"]
    consensus.run(["stack", "deploy", *options, *file_options, STACK], {**os.environ, **variables})


def _monitor() -> str:
    """Return how long Swarm monitors an update; WANWU_MONITOR overrides the default."""
    return os.environ.get("WANWU_MONITOR", render_swarm.MONITOR)


def _require_drained(deployment: SwarmDeployment) -> None:
    """Raise CommandError if tasks run on a server that the cluster file no longer has."""
    serving = {task.node for task in read_tasks(read_services()) if task.running}
    planned = {node.id for node in deployment.nodes.values()}
    for node in read_nodes():
        if node.id in serving - planned and node.active and node.ready:
            name = node.labels.get(SERVER, node.hostname)
            raise CommandError(
                f"{deployment.cluster.source}: servers: found no table of {name}, which still serves: "
                f"put it back, run `make drain SERVER={name}`, and then remove it"
            )


def _require_encryption(wanted: bool) -> None:
    """Raise CommandError if the workers' network exists and is otherwise: no network changes while it is in use."""
    network = f"{STACK}_{render_swarm.WORKERS}"
    if not consensus.run(["network", "ls", "--quiet", "--filter", f"name=^{network}$"]).strip():
        return
    (found,) = consensus.inspect("network", [network])
    if (render_swarm.ENCRYPTED in (found.get("Options") or {})) != wanted:
        raise CommandError(
            f"swarm/encrypted: found {str(wanted).lower()}, needed {str(not wanted).lower()}, as the service runs: "
            "`make down` first, then `make up`"
        )


def _label_nodes(deployment: SwarmDeployment) -> None:
    """Activate and label the nodes: only the cluster's servers run workers, and its gateway servers a gateway."""
    server_of = {node.id: server for server, node in deployment.nodes.items()}
    for node in read_nodes():
        if server := server_of.get(node.id):
            has_gateway = "true" if server in deployment.gateways else "false"
            expected = {SERVER: server, render_swarm.SERVES: "true", GATEWAY: has_gateway}
            if not node.active or any(node.labels.get(key) != value for key, value in expected.items()):
                labels = [part for key, value in expected.items() for part in ("--label-add", f"{key}={value}")]
                consensus.run(["node", "update", "--availability", "active", *labels, node.id])
        elif own_labels := [key for key in (SERVER, render_swarm.SERVES, GATEWAY) if key in node.labels]:
            consensus.run(["node", "update", *(part for key in own_labels for part in ("--label-rm", key)), node.id])


def _update_services(
    deployment: SwarmDeployment, command: list[str], *, repeatable: bool = True, accepted: str = ""
) -> None:
    """Run `docker COMMAND SERVICE` for each model's service, waiting after each until it has settled."""
    for service in _complete_services():
        step(f"{' '.join(command)}: {service.name}")
        before: Snapshot = take_snapshot()
        consensus.run([*command, "--detach", service.name], repeatable=repeatable)
        wait(deployment, before, accepted)


def _complete_services() -> list[Service]:
    """Return the models' services; raise CommandError if there are none, or if one has fewer tasks than replicas."""
    services = [service for service in read_services() if service.replicas is not None]
    if not services:
        raise CommandError("nothing is running here: run `make up` first")
    tasks = read_tasks(services)
    for service in services:
        running = sum(task.running and task.service == service.id for task in tasks)
        if running < (service.replicas or 0):
            raise CommandError(
                f"{service.name}: found {running} of {service.replicas} workers running, needed all before others are "
                "replaced; see `make status`"
            )
    return services
