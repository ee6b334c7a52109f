"""`make slots`: show this server's slots."""

from dataclasses import dataclass
from typing import Annotated

from scripts.base.options import Flag
from scripts.cluster import slots
from scripts.commands import Command, ServiceOptions


@dataclass(frozen=True)
class Options:
    """Which server's slots to show, and whether to include its GPUs."""

    server: Annotated[str, Flag("its name (default: the host name)", "NAME")] = ""
    gpu: Annotated[str, Flag("none: only CPU slots", choices=("auto", "none"))] = "auto"


def run(service: ServiceOptions, options: Options) -> None:
    """Print the slots as JSON."""
    slots.print_slots(service.load_cluster(), options.server, gpus=options.gpu == "auto")


COMMAND = Command("show this server's slots, as init-server.sh writes them", Options, run)
