"""`python -m scripts.models.tools.fetch FOLDER`: download the files of a published model and verify their hashes.

The files are written to FOLDER/files; FOLDER/fetched.json states their source and how to make a model folder from
them. Files of an interrupted attempt are reused.
"""

import json
import shutil
import sys
from pathlib import Path

from scripts.base.console import megabytes, say, step, warn
from scripts.models.options import FetchModelOptions
from scripts.models.tools import read_arguments
from scripts.models.tools.sources import FetchError, Plan, digests

FILES, REPORT = "files", "fetched.json"
PARTIAL = (".part", ".incomplete")  # suffixes of unfinished files: this tool's and ModelScope's


def fetch(folder: Path, options: FetchModelOptions) -> None:
    """Fetch the source into `folder`. Raise FetchError, or the client library's own exception."""
    step(f"looking up {options.source}")
    plan = plan_for(options.source, options.revision, options.sha256)
    files = folder / FILES
    files.mkdir(parents=True, exist_ok=True)
    _download(plan, files)
    path = files / plan.files[0].path if len(plan.files) == 1 else files
    report = {"source": plan.source, "path": str(path), "loader": plan.loader, "architecture": plan.architecture}
    (folder / REPORT).write_text(json.dumps(report), encoding="utf-8")


def plan_for(source: str, revision: str = "", sha256: str = "") -> Plan:
    """Return what to fetch for `source`. Raise FetchError, or the client library's own exception.

    Only the libraries of this source are imported, since some take seconds.
    """
    kind, _, name = source.partition(":")
    if kind in ("http", "https"):
        from scripts.models.tools.sources import http

        return http.plan(source, f"sha256:{sha256.lower()}" if sha256 else "")
    if kind == "hf":
        from scripts.models.tools.sources import hugging_face

        return hugging_face.plan(name, revision)
    if kind == "ms":
        from scripts.models.tools.sources import modelscope

        return modelscope.plan(name, revision)
    from worker.models import torchvision_ops

    torchvision_ops.make_importable()
    from scripts.models.tools.sources import libraries

    return (libraries.torchvision_plan if kind == "torchvision" else libraries.timm_plan)(name, revision)


def _download(plan: Plan, folder: Path) -> None:
    """Fetch the missing files and delete files that are not in the plan."""
    remotes = {folder / remote.path: remote for remote in plan.files}
    for path in folder.iterdir():
        if path.is_file() and path not in remotes and path.suffix not in PARTIAL:
            path.unlink()
    missing = {path: remote for path, remote in remotes.items() if not digests.is_complete(path, remote)}
    total = sum(remote.size or 0 for remote in missing.values())
    say(f"   {plan.source}: {megabytes(total)} to fetch, {len(missing)} of {len(plan.files)} files")
    _check_free_space(total, folder)
    for number, (path, remote) in enumerate(missing.items(), 1):
        say(
            f"   {number}/{len(missing)} {remote.path}" + ("" if remote.size is None else f", {megabytes(remote.size)}")
        )
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        plan.get(remote, folder)
        digests.check(path, remote)


def _check_free_space(total: int, folder: Path) -> None:
    downloaded = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in PARTIAL)
    free = shutil.disk_usage(folder).free
    if total - downloaded > free:
        raise FetchError(
            f"{folder}: found {megabytes(free)} free, needed {megabytes(total - downloaded)}: make room there"
        )


def main(folder: Path, options: FetchModelOptions) -> int:
    try:
        fetch(folder, options)
    except FetchError as error:
        for line in str(error).splitlines():
            warn(line)
        return 1
    except Exception as error:
        from scripts.models.tools.sources.fetch_errors import user_message

        if not (message := user_message(error, options.source)):
            raise
        warn(message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*read_arguments(FetchModelOptions)))
