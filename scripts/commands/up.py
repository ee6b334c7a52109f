"""`make up`: start the service and print its first answer."""

from scripts.base.console import say
from scripts.base.http import print_prediction
from scripts.commands import Command, NoOptions, Place
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


def run(place: Place, options: NoOptions) -> None:
    """Start everything, then send one image and print the answer."""
    directory, cluster = run_dir(place.run_dir), place.load_cluster()
    deployment = choose(place.runtime, directory, len(cluster.servers)).up(cluster, directory)
    say(f"\nready: {deployment.endpoint}/  (web page, and POST /predict)")
    print_prediction(deployment.endpoint, deployment.models[cluster.models[0].name].golden)


COMMAND = Command("bring the service up, and show its first answer", NoOptions, run)
