"""A real worker on a GPU whose CUDA context breaks: it says so, and gunicorn starts a new process, which answers."""

from pathlib import Path

from tests import folders, images
from tests.gpu import networks
from tests.gpu.test_engine import GPU
from tests.local.test_broken_engine import serves_anew
from tests.local.worker_harness import running
from tests.wait import until

RED, WHITE = (images.encoded(folders.image(colour), "PNG") for colour in (networks.RED, networks.WHITE))


def test_a_lasting_cuda_error_takes_the_worker_out_and_a_new_process_serves(tmp_path: Path) -> None:
    folder = networks.folder(tmp_path / "fragile", networks.FRAGILE)
    with running(folder, tmp_path / "log", GPU=GPU) as process:
        old = process.inner_pid
        assert process.predict(RED).status == 200
        # The first request breaks CUDA, and the others meet it broken.
        assert [process.predict(image).status for image in (WHITE, RED, RED)] == [500] * 3
        state = until("it says so", lambda: (found := process.state()) and found["state"] == "broken" and found)
        assert state
        assert "CUDA error" in state["reason"]
        assert "and then the golden images" in state["reason"]
        serves_anew(process, old, state["reason"])
