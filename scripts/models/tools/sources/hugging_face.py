"""Repositories of the Hugging Face Hub, or of the mirror in HF_ENDPOINT, by means of the Hub's client."""

from pathlib import Path

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from scripts.models.tools.sources import Plan, Remote
from scripts.models.tools.sources.http import fetch
from scripts.models.tools.sources.layout import needed_files

BRANCH = "main"


def plan(repository: str, revision: str = "", loader: str = "", architecture: str = "") -> Plan:
    """Return a plan for the files that serving needs of a repository; `revision` is a branch, a tag or a commit."""
    api = HfApi()
    commit = str(api.model_info(repository, revision=revision or BRANCH).sha)
    listed = api.list_repo_tree(repository, recursive=True, revision=commit)
    entries = {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}
    files = tuple(_remote(entries[path]) for path in needed_files(f"hf:{repository}", list(entries), loader))

    def get(remote: Remote, folder: Path) -> None:
        address = hf_hub_url(repository, remote.path, revision=commit)
        fetch(address, folder / remote.path, remote.size, remote.digest, build_hf_headers())

    return Plan(f"hf:{repository}@{commit}", files, get, loader, architecture)


def _remote(entry: RepoFile) -> Remote:
    if entry.lfs:
        return Remote(entry.path, entry.lfs.size, f"sha256:{entry.lfs.sha256}")
    return Remote(entry.path, entry.size, f"git:{entry.blob_id}")
