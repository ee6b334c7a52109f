"""`make model-fetch`: download a published model, verify its hashes and build a model folder from it.

The downloads stay in their own folder until the model folder is complete, so that the same command can resume an
interrupted attempt.
"""

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts.base.console import megabytes, warn
from scripts.base.errors import CommandError
from scripts.base.lock import locked
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import TOOLS
from scripts.host.venv import ensure
from scripts.models import add as model_add
from scripts.models import tools as model_tools
from scripts.models.options import AddModelOptions, FetchModelOptions
from worker.contract.litter import own_files

DOWNLOADS = ".fetch"  # the downloads' folder inside the folder of model folders
REPORT = "fetched.json"  # the tool writes it: path, source, loader, architecture
KINDS = ("hf", "ms", "torchvision", "timm")
ADDRESS = re.compile(r"https?://[^/\s]+/\S+")
NAMED_SOURCE = re.compile(rf"({'|'.join(KINDS)}):[\w-][\w.-]*(/[\w-][\w.-]*)?")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
MAX_NAME = 63  # characters of a model's name


def fetch(options: FetchModelOptions, lock: Path) -> None:
    """Fetch the model that `options` describe and make a model folder from it. Raise CommandError if either fails.

    The source determines the name, loader and architecture where `options` leave them out. `lock` is that of the
    service.
    """
    options = replace(options, name=options.name or default_name(options.source))
    if faults := _faults(options):
        raise CommandError(*faults)
    model_add.set_umask_and_signals()
    with _download_folder(options.models, options.source, options.revision) as folder:
        python = ensure(TOOLS, nvidia=bool(read_hardware().gpus))
        model_tools.run(python, "fetch", folder, options, online=True)
        model_add.add(_add_options(options, folder), lock, "model-fetch")


def default_name(source: str) -> str:
    """Return the last part of `source` as a valid model name; "" if no valid character remains."""
    last = Path(unquote(urlsplit(source).path)).stem if ADDRESS.fullmatch(source) else re.split("[:/]", source)[-1]
    return re.sub(r"[^a-z0-9._-]+", "-", last.lower()).lstrip("._-")[:MAX_NAME]


def _faults(options: FetchModelOptions) -> list[str]:
    """Return every fault that can be found before fetching."""
    source, address = options.source, bool(ADDRESS.fullmatch(options.source))
    revision, sha256 = options.revision, options.sha256
    valid = address or NAMED_SOURCE.fullmatch(source)
    faults = model_add.name_faults(options) if valid or options.name else []
    if not valid:
        needed = "hf:ORGANISATION/NAME, ms:ORGANISATION/NAME, torchvision:NAME, timm:NAME or http(s)://HOST/FILE"
        faults.append(f"SOURCE: found {source or 'nothing'}, needed {needed}")
    if revision and address:
        faults.append(f"REVISION: found {revision!r}, but an address has no revisions: leave it out")
    if sha256 and not address:
        faults.append("SHA256: only an address needs it, since other sources publish their hashes: leave it out")
    elif sha256 and not SHA256.fullmatch(sha256):
        faults.append(f"SHA256: found {sha256}, needed 64 hexadecimal digits")
    return faults + model_add.file_faults(options)


@contextlib.contextmanager
def _download_folder(models: Path, source: str, revision: str) -> Iterator[Path]:
    """Yield the locked download folder of this source; delete it after success, or if it is empty after a failure.

    Raise CommandError if it cannot be created or another model-fetch uses it.
    """
    key = f"{source}@{revision}"
    readable = re.sub(r"[^\w.-]+", "--", source.partition("?")[0])[-MAX_NAME:]
    folder = models / DOWNLOADS / f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    try:
        models.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}: needed a writable folder: set MODELS=") from error
    with contextlib.ExitStack() as lock:
        try:
            lock.enter_context(locked(folder))
        except BlockingIOError as error:
            raise CommandError(f"{folder}: another model-fetch is fetching this: wait for it to end") from error
        try:
            yield folder
            shutil.rmtree(folder)
        except BaseException:
            _print_kept_downloads(folder)
            raise
        finally:
            with contextlib.suppress(OSError):  # other downloads are in it
                folder.parent.rmdir()


def _print_kept_downloads(folder: Path) -> None:
    size = sum(path.stat().st_size for path in own_files(folder))
    if not size:
        shutil.rmtree(folder)
        return
    path = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    resume = f"run the same command again to resume, or `rm -r {path}` to discard it"
    warn(f"kept: {megabytes(size)} in {path}: {resume}")


def _add_options(options: FetchModelOptions, folder: Path) -> AddModelOptions:
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    requested = {field.name: getattr(options, field.name) for field in fields(AddModelOptions)}
    fetched = {
        "source": report["path"],
        "loader": options.loader or report["loader"],
        "architecture": options.architecture or report["architecture"],
        "origin": report["source"],
    }
    return AddModelOptions(**{**requested, **fetched})
