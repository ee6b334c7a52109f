"""What runs, what should, and what ran before: the states of a service, in every SideBySide runtime."""

from collections.abc import Iterable, Mapping

from scripts.base.http import trust
from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.cluster.models import content_hash
from scripts.host.certificates import known_certificates
from scripts.runtimes import history
from scripts.runtimes.change import read_members
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.history import History, Saved
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.side_by_side import SideBySide, State
from scripts.runtimes.waiting import answering


def target(runtime: SideBySide, deployment: Deployment) -> State:
    """Return what `deployment` is to run as."""
    return state_of(runtime, deployment.cluster, runtime.render(deployment))


def running(runtime: SideBySide, run: RunDir, cluster: Cluster, paths: Iterable[str]) -> State:
    """Return what runs in `run`, of the files `paths`; `cluster` is what is known of it if it was not remembered."""
    clusters = known(run, cluster) or [cluster]
    trust_certificates(run, clusters)
    state = state_of(runtime, answering(clusters), runtime.running_files(run, paths))
    existing = runtime.workers(run)
    members = {name: member for name, member in state.members.items() if name in existing}
    return State(state.cluster, state.files, members)


def state_of(runtime: SideBySide, cluster: Cluster, files: Mapping[str, str]) -> State:
    """Return the state of `cluster` whose rendered `files` these are."""
    return State(cluster, files, read_members(files[runtime.members], runtime.worker_definitions(files)))


def expect(run: RunDir, cluster: Cluster) -> None:
    """Note that what is about to start in `run`, where nothing runs, will go by `cluster`."""
    History(run).leave_for(text_of(cluster), running=False)


def known(run: RunDir, cluster: Cluster) -> list[Cluster]:
    """Return the clusters of which what runs in `run` goes by one; `cluster` is of the same file."""
    return [parse_cluster(text, cluster.source) for text in History(run).texts]


def remember(
    runtime: SideBySide, run: RunDir, state: State, before: State | None = None, renewed: bool = False
) -> None:
    """Keep `state`, which serves now, and what ran before it, unless the two are the same but for new processes."""
    path, at = str(ROOT / state.cluster.source), history.now()
    models = {str(model.folder): content_hash(model.folder) for model in state.cluster.models}
    saved = Saved(at, runtime.name, path, text_of(state.cluster), state.files, models)
    unknown = Saved(at, runtime.name, path, None, before.files, {}) if before else None
    History(run).keep(saved, unknown, renewed)


def trust_certificates(run: RunDir, clusters: Iterable[Cluster]) -> None:
    """Trust what the gateway of any of `clusters` shows of itself."""
    trust("".join(known_certificates(cluster.tls, run.path) for cluster in clusters if cluster.tls.enabled))


def text_of(cluster: Cluster) -> str:
    """Return the text of the file of `cluster` as it is now."""
    return (ROOT / cluster.source).read_bytes().decode()
