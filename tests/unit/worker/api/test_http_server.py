"""The worker's HTTP server while it starts: gunicorn kills a process that does not show that it is alive."""

import os
from typing import Any

from gunicorn.config import Config

from tests.wait import until
from worker.api.http_server import PredictWorker


class Slow:
    """An application that is loaded only once its worker has shown that it is alive."""

    worker: PredictWorker

    def wsgi(self) -> Any:
        before = self.worker.tmp.last_update()
        until("it shows that it is alive", lambda: self.worker.tmp.last_update() != before)
        return self


def test_a_worker_is_alive_while_its_application_loads() -> None:
    application = Slow()
    application.worker = PredictWorker(1, os.getpid(), [], application, 15, Config(), None)
    application.worker.load_wsgi()
    assert application.worker.wsgi is application
