"""Logs: one record, one JSON object on one line."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_the_configuration_sends_every_logger_to_standard_output() -> None:
    code = (
        "import logging.config; from worker.process.logs import CONFIG; logging.config.dictConfig(CONFIG);"
        "[logging.getLogger(name).info('hello') for name in ('worker.app', 'gunicorn.error')]"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [json.loads(text)["logger"] for text in shown.stdout.splitlines()] == ["worker.app", "gunicorn.error"]
    assert shown.stderr == ""
