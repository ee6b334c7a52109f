"""`make model-prepare`: measure every engine on this machine and choose the fastest."""

from scripts.commands import Command, ServiceOptions
from scripts.models.options import PrepareOptions
from scripts.models.prepare import prepare


def run(service: ServiceOptions, options: PrepareOptions) -> None:
    """Prepare one model folder, or all served ones."""
    prepare(options, service.load_cluster(), service.lock)


COMMAND = Command("measure every engine on this machine again, and choose the fastest", PrepareOptions, run)
