"""`make evaluate`: measure a model's accuracy on labelled images."""

from scripts.commands import Command, Place
from scripts.models.evaluate import evaluate
from scripts.models.options import EvaluateOptions


def run(place: Place, options: EvaluateOptions) -> None:
    """Evaluate a model folder."""
    evaluate(options, place.load_cluster())


COMMAND = Command("measure how often a model is right on labelled images", EvaluateOptions, run)
