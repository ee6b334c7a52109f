"""`make teach`: make a model folder that knows a user's own classes, from a folder of images, without a network."""

from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster
from scripts.host.environments import TEACH
from scripts.host.venv import ensure
from scripts.models import add as model_add
from scripts.models import model_store
from scripts.models import tools as model_tools
from scripts.models.options import TeachOptions
from scripts.models.summary import read_summary
from scripts.models.tools import TeachTask
from scripts.models.tools.teach import KEPT, PAGE

FEATURES = ".features"  # inside the folder of the model folders: what was computed of images, for the next run


def teach(options: TeachOptions, cluster: Cluster, lock: Path) -> None:
    """Teach the model `options.base` the classes in a folder of images, and install the new model folder.

    `lock` is that of the service. Raise CommandError if that fails, and leave nothing behind but features of images,
    with which the next run goes on.
    """
    if faults := model_add.name_faults(options) + _images_faults(options):
        raise CommandError(*faults)
    base = _base(options, cluster)
    target = options.target
    model_add.set_umask_and_signals()
    with model_add.staging_folder(target) as folder:
        python = ensure(TEACH, nvidia=False)
        images = Path(options.images or options.add).absolute()
        replaced = None if read_summary(target).fault else target
        task = TeachTask(options.name, base, images, options.models / FEATURES, bool(options.add), replaced)
        model_tools.run_in_session(python, "teach", folder, task)
        model_add.publish(folder, target, options.models, lock, "teach")
    display_path = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    say(f"\ntaught: {display_path}, with its report {PAGE}. To serve it: make use NAME={options.name}")


def _base(options: TeachOptions, cluster: Cluster) -> Path:
    """Return the folder of the model to teach: the model itself if images are added to it."""
    name, variable = options.base, "BASE"
    if not name:
        name, variable = (options.name, "NAME") if options.add else (model_store.EMBEDDED.name, "BASE")
    folder = model_store.named(model_store.entries(options.models, cluster), name, variable).folder
    if fault := read_summary(folder).fault:
        raise CommandError(f"{variable}: {fault}")
    if options.add and not (folder / KEPT).is_file():
        raise CommandError(
            f"ADD: found {name}, which was not taught, needed a model made by `make teach`: teach one with IMAGES="
        )
    return folder


def _images_faults(options: TeachOptions) -> list[str]:
    if options.images and options.add:
        return ["IMAGES and ADD: found both, needed one: IMAGES= teaches a new model, ADD= adds to one"]
    variable, images = ("ADD", options.add) if options.add else ("IMAGES", options.images)
    if images and Path(images).is_dir():
        return []
    found = f"{images}: no such folder" if images else "found nothing"
    return [f"{variable}: {found}: needed a folder with a folder of images for each class"]
