"""`make model-verify`: check model folders as a worker does when it starts."""

from scripts.commands import Command, ServiceOptions
from scripts.models.options import VerifyOptions
from scripts.models.verify import verify


def run(service: ServiceOptions, options: VerifyOptions) -> None:
    """Verify one model folder or all of them."""
    verify(options, service.load_cluster())


COMMAND = Command("check model folders as a starting worker does, without a network", VerifyOptions, run)
