"""`make teach`: make a model folder that knows a user's own classes, from a folder of images, without a network."""

from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster
from scripts.host.environments import TEACH, ensure
from scripts.models import add as model_add
from scripts.models import model_store
from scripts.models import tools as model_tools
from scripts.models.options import TeachOptions
from scripts.models.tools import TeachTask
from scripts.models.tools.teach import PAGE

FEATURES = ".features"  # inside the folder of the model folders: what was computed of images, for the next run


def teach(options: TeachOptions, cluster: Cluster) -> None:
    """Teach the model `options.base` the classes in a folder of images, and install the new model folder.

    Raise CommandError if that fails, and leave nothing behind but features of images, with which the next run goes on.
    """
    if faults := model_add.name_faults(options) + _images_faults(options.images):
        raise CommandError(*faults)
    base = model_store.named(model_store.entries(options.models, cluster), options.base, "BASE")
    if fault := model_store.read_summary(base.folder).fault:
        raise CommandError(f"BASE: {fault}")
    target = options.target
    model_add.set_umask_and_signals()
    with model_add.staging_folder(target) as folder:
        python = ensure(TEACH, nvidia=False)
        task = TeachTask(options.name, base.folder, Path(options.images).absolute(), options.models / FEATURES)
        model_tools.run_in_session(python, "teach", folder, task)
        model_add.install_folder(folder, target)
    model_store.record(options.models, target, good=True)
    display_path = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    say(f"\ntaught: {display_path}, with its report {PAGE}. To serve it: make use NAME={options.name}")


def _images_faults(images: str) -> list[str]:
    if images and Path(images).is_dir():
        return []
    found = f"{images}: no such folder" if images else "found nothing"
    return [f"IMAGES: {found}: needed a folder with a folder of images for each class"]
