"""ModelScope, or the mirror that MODELSCOPE_ENDPOINT names, by its own client."""

import sys
from pathlib import Path
from typing import Any

from modelscope_hub import HubApi
from modelscope_hub.config import HubConfig
from modelscope_hub.errors import FileDownloadError

from scripts.models.tools.sources import Plan, Remote
from scripts.models.tools.sources.layout import needed
from scripts.models.tools.sources.progress import Lines

BRANCH = "master"


class Nameless(HubConfig):
    """A configuration that does not give this machine a number of its own to send with every request."""

    def get_session_id(self) -> str:
        return "0" * 32


def plan(repository: str, revision: str = "") -> Plan:
    """What serving needs of a repository's `revision`: a branch, a tag or a commit."""
    api = HubApi(config=Nameless())
    listed = api.legacy.list_repo_files(repository, "model", revision or BRANCH, recursive=False)
    entries: dict[str, dict[str, Any]] = {entry["Path"]: entry for entry in listed if entry.get("Type") != "tree"}
    wanted = {path: entries[path] for path in needed(f"ms:{repository}", list(entries))}
    # Without the hashes, which the caller checks: the client would fetch a file three times before it said anything.
    bare = {path: {**entry, "Sha256": None} for path, entry in wanted.items()}

    def get(remote: Remote, folder: Path) -> None:
        lines = [] if sys.stderr.isatty() else [Lines]  # on a terminal, the client has a bar of its own
        try:
            api.download_repo(
                repository, "model", revision=revision or BRANCH, local_dir=folder, cache_dir=folder.parent,
                file_list=[bare[remote.path]], progress_callbacks=lines,  # type: ignore[arg-type]
            )  # fmt: skip
        except FileDownloadError as error:
            raise error.failed_files[remote.path] from error

    files = tuple(Remote(path, int(entry["Size"]), f"sha256:{entry['Sha256']}") for path, entry in wanted.items())
    return Plan(f"ms:{repository}@{_commit(list(wanted.values())) or revision or BRANCH}", files, get)


def _commit(entries: list[dict[str, Any]]) -> str:
    """The commit that last changed one of the files: that of the branch, as far as these files go."""
    newest = max(entries, key=lambda entry: int(entry.get("CommittedDate") or 0))
    return str(newest.get("Revision") or "")
