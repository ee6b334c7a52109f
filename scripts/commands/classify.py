"""`make classify`: classify images with the running service, and write the answers into a file."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.errors import CommandError
from scripts.base.http import service_context
from scripts.base.options import Flag
from scripts.client.classify import Job, classify
from scripts.client.wanwu_client import Parameters
from scripts.cluster.keys import OWN_VARIABLE, own_key
from scripts.commands import Command, ServiceOptions

WAIT_S = 120


@dataclass(frozen=True)
class Options:
    """What to send, where to, and where the answers go."""

    images: Annotated[str, Flag("files, folders or globs; - reads a list from standard input", "PATHS")] = ""
    out: Annotated[str, Flag("results.csv, .json or .jsonl, continued if it exists (default: print)", "FILE")] = ""
    top_k: Annotated[int, Flag("how many classes of each image", "N")] = 1
    threshold: Annotated[str, Flag("only classes with at least this score", "SCORE")] = ""
    labels: Annotated[str, Flag("the language of the labels, or both Chinese and English", "LANGUAGE")] = ""
    candidates: Annotated[str, Flag("of a zero-shot model: labels with commas between", "LABELS")] = ""
    model: Annotated[str, Flag("which model, where several are served (default: the first)", "NAME")] = ""
    url: Annotated[str, Flag("the service (default: on this machine, at the port of the cluster file)", "URL")] = ""
    ca: Annotated[
        str, Flag("the certificate authority of an https:// service (default: those of the system)", "FILE")
    ] = ""
    wait: Annotated[int, Flag("seconds to wait for a service that is busy or away", "SECONDS")] = WAIT_S
    retry: Annotated[bool, Flag("send images again whose row in the file says that they failed")] = False
    key_variable: Annotated[str, Flag("the environment variable that holds a key", "NAME")] = OWN_VARIABLE
    watch: Annotated[bool, Flag("wait for more images in the folder until interrupted")] = False


def run(service: ServiceOptions, options: Options) -> None:
    """Classify the images; raise CommandError if one failed or the service is not there."""
    if options.top_k < 1:
        raise CommandError(f"TOP_K: found {options.top_k}, needed 1 or more: correct it")
    if options.wait < 0:
        raise CommandError(f"WAIT: found {options.wait}, needed 0 or more seconds: correct it")
    url = options.url or service.load_cluster().endpoint
    classify(
        Job(
            images=options.images,
            out=Path(options.out) if options.out else None,
            url=url,
            # Not in the command line, which every account can read; and this kit's own is for its own service alone.
            key=os.environ.get(options.key_variable, "") or ("" if options.url else own_key(service.load_cluster())),
            tls=_tls(options),
            parameters=_parameters(options),
            wait_s=options.wait,
            retry=options.retry,
            watch=options.watch,
        )
    )


def _tls(options: Options) -> ssl.SSLContext:
    """Return whom to trust: for the service of the cluster file its own certificate alone; else CA or the system's."""
    if not options.url and not options.ca:
        return service_context()
    try:
        return ssl.create_default_context(cafile=options.ca or None)
    except OSError as error:
        raise CommandError(
            f"CA: {options.ca}: {error.strerror or error}, needed a certificate in PEM: correct it"
        ) from error


def _parameters(options: Options) -> Parameters:
    try:
        threshold = float(options.threshold) if options.threshold else None
    except ValueError as error:
        raise CommandError(f"THRESHOLD: found {options.threshold!r}, needed a score such as 0.5: correct it") from error
    candidates = [label.strip() for label in options.candidates.split(",") if label.strip()]
    return Parameters(
        model=options.model or None,
        top_k=options.top_k,
        threshold=threshold,
        labels=options.labels or None,
        candidate_labels=candidates or None,
    )


COMMAND = Command("classify images with the running service, into a CSV or JSON file", Options, run)
