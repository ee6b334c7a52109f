"""Repositories of ModelScope, or of the mirror in MODELSCOPE_ENDPOINT, by means of ModelScope's client."""

import sys
from pathlib import Path
from typing import Any

from modelscope_hub import HubApi
from modelscope_hub.config import HubConfig
from modelscope_hub.errors import FileDownloadError

from scripts.models.tools.sources import Plan, Remote
from scripts.models.tools.sources.layout import needed_files
from scripts.models.tools.sources.progress import ProgressLines

BRANCH = "master"


class AnonymousConfig(HubConfig):
    """A configuration without the session id that identifies this machine in every request."""

    def get_session_id(self) -> str:
        return "0" * 32


def plan(repository: str, revision: str = "") -> Plan:
    """Return a plan for the files that serving needs of a repository; `revision` is a branch, a tag or a commit."""
    api = HubApi(config=AnonymousConfig())
    listed = api.legacy.list_repo_files(repository, "model", revision or BRANCH, recursive=True)
    entries: dict[str, dict[str, Any]] = {entry["Path"]: entry for entry in listed if entry.get("Type") != "tree"}
    selected = {path: entries[path] for path in needed_files(f"ms:{repository}", list(entries))}
    # Without the hashes, which the caller checks: the client would download a wrong file three times before it failed.
    without_hashes = {path: {**entry, "Sha256": None} for path, entry in selected.items()}

    def get(remote: Remote, folder: Path) -> None:
        callbacks = [] if sys.stderr.isatty() else [ProgressLines]  # on a terminal, the client draws its own bar
        try:
            api.download_repo(
                repository,
                "model",
                revision=revision or BRANCH,
                local_dir=folder,
                cache_dir=folder.parent,
                file_list=[without_hashes[remote.path]],
                progress_callbacks=callbacks,  # type: ignore[arg-type]
            )
        except FileDownloadError as error:
            raise error.failed_files[remote.path] from error

    files = tuple(Remote(path, int(entry["Size"]), f"sha256:{entry['Sha256']}") for path, entry in selected.items())
    return Plan(f"ms:{repository}@{_commit(list(selected.values())) or revision or BRANCH}", files, get)


def _commit(entries: list[dict[str, Any]]) -> str:
    """Return the newest commit that changed one of the files; "" if the hub names none."""
    newest = max(entries, key=lambda entry: int(entry.get("CommittedDate") or 0))
    return str(newest.get("Revision") or "")
