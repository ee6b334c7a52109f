"""The swarm runtime: on several servers, one service per model with a task per slot, and a service of gateways."""

import subprocess
from collections.abc import Iterator

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.host import docker, images
from scripts.host.updates import image_updates
from scripts.runtimes.request_lines import Line
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Runtime, Updates
from scripts.runtimes.swarm import changes, consensus, managers, observability, stack, status
from scripts.runtimes.swarm import deployment as swarm_deployment
from scripts.runtimes.swarm.deployment import SwarmDeployment
from scripts.runtimes.swarm.membership import label_nodes, require_drained, require_encryption
from scripts.runtimes.swarm.network import faults_here
from scripts.runtimes.swarm.nodes import STACK, read_services
from scripts.runtimes.swarm.waiting import take_snapshot, wait_answering, wait_empty, wait_gone


class SwarmRuntime(Runtime):
    """Docker Swarm on several servers. An update replaces one worker at a time, and is rolled back if it fails."""

    name = stack.NAME
    observability = observability

    def suits(self, servers: int) -> bool:
        return servers > 1 and docker.is_swarm_manager()

    def plan(self, cluster: Cluster, run: RunDir) -> SwarmDeployment:
        if listen := cluster.gateway.listen:
            raise CommandError(
                f"{cluster.source}: gateway/listen: found {', '.join(listen)}, needed none under Swarm, where "
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
        require_drained(deployment)
        require_encryption(cluster.swarm.encrypted)
        self.build_images(deployment)
        label_nodes(deployment)
        managers.appoint(list(deployment.nodes.values()), cluster.swarm.managers)
        if cluster.swarm.autolock:
            managers.lock()
        before = take_snapshot()
        step("starting workers and gateways")
        try:
            stack.deploy(deployment)
            changes.settle(deployment, before)
            if is_first_start:
                wait_answering(deployment)
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

    def rollout(self, cluster: Cluster, run: RunDir, *, force: bool = False) -> None:
        """Replace the workers one at a time, service by service; raise CommandError if some do not run.

        As in `up`, there is nothing to `force`.
        """
        changes.renew(self.plan(cluster, run))

    def rollback(self, cluster: Cluster, run: RunDir, *, force: bool = False) -> None:
        """Restore every model's service as it was before its last update, one worker at a time.

        As in `up`, there is nothing to `force`. Raise CommandError if some workers do not run, or if nothing differs.
        """
        changes.roll_back(self.plan(cluster, run))

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
        changes.rescale(deployment)
        changes.settle(deployment, before)
        say(f"\n{server} no longer serves and can be removed: remove its table from {cluster.source} and run `make up`")
        say(f"`make up` with its table still there makes {server} serve again")

    def updates(self, cluster: Cluster, run: RunDir) -> Updates:
        return image_updates(image.reference for image in stack.images_of(self.plan(cluster, run)))

    def apply_updates(self, cluster: Cluster, run: RunDir) -> None:
        raise CommandError(
            "under Swarm every server needs the same images: run `make update APPLY=1`, `make bundle` and "
            "`make init HOSTS=...` where bundles are made, then `make up` here, which replaces one worker at a time"
        )

    def publish_keys(self, cluster: Cluster, run: RunDir) -> None:
        """Give the gateways the new list as a secret, which replaces them one at a time."""
        deployment = self.plan(cluster, run)
        files = stack.render(deployment)
        if not run.has_files({name: text for name, text in files.items() if name != stack.KEYS}):
            raise CommandError(f"{run.path}: the running service differs from {cluster.source}: run `make up`")
        before = take_snapshot()
        step("replacing the gateways one at a time, so that they know the keys")
        stack.deploy(deployment)
        changes.settle(deployment, before)

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
        images.ensure(stack.images_of(deployment))
