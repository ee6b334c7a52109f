"""The cluster view, with a real service whose workers are killed and drained."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from selenium import webdriver

from tests import folders, processes
from tests.browser.chromium import Page
from tests.browser.conftest import Sample
from tests.service import Service, create

DRAIN = "[limits]\ndrain_s = 3\n"
IN = {"en": "In rotation", "zh": "在线"}


@pytest.fixture(scope="module")
def fruits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers of one model, which drain before they stop."""
    home = tmp_path_factory.mktemp("cluster")
    folder = folders.fruit_folder(home / "model")
    running = create(home / "service", f'[[models]]\nname = "fruit"\nfolder = "{folder}"\n', DRAIN)
    running.up()
    yield running
    running.down()


@pytest.fixture
def cluster(browser: webdriver.Chrome, fruits: Service) -> Page:
    """The view, once all workers are in rotation."""
    page = Page(browser, fruits.endpoint)
    page.one("#views [href='#cluster']").click()
    page.wait(lambda: states(page) == [IN["en"]] * 2)
    return page


def states(page: Page) -> list[str]:
    return page.texts("#view-cluster tr .state")


def row(page: Page, slot: str) -> list[str]:
    (found,) = [line for line in page.all("#view-cluster tbody tr") if line.text.startswith(slot)]
    return page.driver.execute_script("return Array.from(arguments[0].cells, (cell) => cell.textContent.trim())", found)  # type: ignore[no-any-return]


def signal_worker(service: Service, name: str, number: signal.Signals) -> None:
    """Send a signal to all processes of a worker, as the kernel does to a group."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    own = [pid for pid in pids if processes.variable(pid, "HOME") == str(service.run_dir)]
    worker = [pid for pid in own if processes.variable(pid, "WANWU_WORKER") == name]
    assert worker
    for pid in worker:
        os.kill(pid, number)


def workers(service: Service) -> list[dict[str, object]]:
    found: list[dict[str, object]] = requests.get(f"{service.endpoint}/status", timeout=30).json()["workers"]
    return found


def test_every_worker_is_shown_with_its_slot_state_model_and_load(cluster: Page, fruits: Service) -> None:
    assert cluster.text("#view-cluster .view-head p") == "2 of 2 workers in rotation, 1 server"
    for worker in workers(fruits):
        cells = row(cluster, str(worker["slot"]))
        assert cells[:7] == [worker["slot"], "1 core", "In rotation", "fruit 1", "openvino · f32", "0", "0"]
    cluster.switch_to("zh")
    cluster.wait(lambda: states(cluster) == [IN["zh"]] * 2)
    assert row(cluster, str(worker["slot"]))[:3] == [worker["slot"], "1 核", "在线"]
    assert cluster.one("#view-cluster .view-head a").get_attribute("href") == f"{fruits.endpoint}/status"
    assert cluster.console() == []


def test_rate_and_percentiles_are_those_of_the_service(cluster: Page, fruits: Service, samples: list[Sample]) -> None:
    def recent() -> dict[str, object]:
        (model,) = requests.get(f"{fruits.endpoint}/status", timeout=30).json()["models"]
        found: dict[str, object] = model["recent"]
        return found

    before = sum(recent()["images"])  # type: ignore[call-overload]
    image = samples[0].path.read_bytes()
    several = [("image", image), ("image", image)]
    for number in range(20):
        files = [("image", image)] if number % 2 else several
        assert requests.post(f"{fruits.endpoint}/predict", files=files, timeout=30).ok
    cluster.wait(lambda: sum(recent()["images"]) == before + 30)  # type: ignore[call-overload]
    for name in ("p50", "p99"):
        milliseconds = float(recent()[f"{name}_ms"])  # type: ignore[arg-type]
        shown = f"{milliseconds:.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}".removesuffix(".0")
        cluster.wait(lambda shown=shown: f"{shown} ms" in cluster.texts(".model-card dd"))
    assert recent()["p50_ms"] <= recent()["p99_ms"]  # type: ignore[operator]
    assert float(cluster.texts(".model-card dd")[0]) > 0
    line = cluster.one(".model-card path:last-child").get_attribute("d") or ""
    assert len({point.split()[1] for point in line.removeprefix("M").split("L")}) > 1, "it rises where images came"


def test_a_worker_that_is_killed_is_seen_read_out_and_seen_to_come_back(cluster: Page, fruits: Service) -> None:
    slot = str(workers(fruits)[1]["slot"])
    signal_worker(fruits, "fruit-1", signal.SIGKILL)
    cluster.wait(lambda: row(cluster, slot)[2].startswith("Not reachable"))
    assert cluster.text("#view-cluster .unseen[role=status]") == "fruit-1: Not reachable"
    assert states(cluster)[0] == IN["en"]
    cluster.wait(lambda: cluster.text(".model-card .serving") == "1 of 2 workers")
    cluster.wait(lambda: states(cluster) == [IN["en"]] * 2)
    assert cluster.text(".model-card .serving") == "2 of 2 workers"


def test_a_worker_that_drains_is_said_to(cluster: Page, fruits: Service) -> None:
    cluster.switch_to("zh")
    slot = str(workers(fruits)[0]["slot"])
    signal_worker(fruits, "fruit-0", signal.SIGTERM)
    cluster.wait(lambda: row(cluster, slot)[2].startswith("排空中"))
    assert cluster.one("#view-cluster tr").is_displayed()
    cluster.wait(lambda: states(cluster) == [IN["zh"]] * 2)


def test_a_service_that_is_silent_is_said_to_be_and_its_last_state_stays(cluster: Page) -> None:
    with cluster.network(offline=True):
        cluster.wait(lambda: cluster.text(".trouble").startswith("The service has not responded for "))
        assert states(cluster) == [IN["en"]] * 2
    cluster.wait(lambda: cluster.text(".trouble") == "")
