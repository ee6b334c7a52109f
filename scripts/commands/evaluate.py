"""`make evaluate`: measure a model's accuracy on labelled images."""

from scripts.commands import Command, ServiceOptions
from scripts.models.evaluate import evaluate
from scripts.models.options import EvaluateOptions


def run(service: ServiceOptions, options: EvaluateOptions) -> None:
    """Evaluate a model folder."""
    evaluate(options, service.load_cluster())


COMMAND = Command("measure a model's accuracy on labelled images", EvaluateOptions, run)
