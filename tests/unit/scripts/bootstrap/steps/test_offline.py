"""The variables that keep libraries on this server."""

from scripts.bootstrap.steps.offline import HEAD, offline_text
from scripts.cluster.config import ROOT
from worker.contract.files import VARIABLE


def test_the_file_has_the_kits_variables_and_the_volumes_caches() -> None:
    first, *others = offline_text((ROOT / "worker/offline.env").read_text()).splitlines()
    assert first == HEAD
    assert all(VARIABLE.fullmatch(line) for line in others)
    assert {"HF_HUB_OFFLINE=1", "TORCH_HOME=/srv/wanwu/models/.cache/torch"} <= set(others)
