from pathlib import Path

from scripts.render.common import worker_environment
from tests.unit.scripts.render import PHOTOS, make_cluster, make_plan
from worker.contract.settings import Settings, offline_variables


def test_the_worker_accepts_its_rendered_environment() -> None:
    cluster = make_cluster(limits="queue = 7\nmax_images = 3")
    worker = make_plan(cluster, "mig").workers[0]
    environ = offline_variables() | worker_environment(cluster, worker, "127.0.0.1:9000")
    settings = Settings.from_env(environ)
    assert (settings.model, settings.model_dir, settings.worker) == ("photos", Path(PHOTOS), worker.name)
    assert (settings.slot, settings.cpus) == (worker.slot.name, frozenset(worker.slot.cpus))
    assert settings.gpu == worker.slot.gpu
    assert (settings.bind, settings.engine, settings.queue, settings.max_images) == ("127.0.0.1:9000", "auto", 7, 3)
