"""Model folders whose faults show only when a worker starts: each fails in its own way."""

import hashlib
import re
from pathlib import Path

from tests.folders import code_folder, openvino_folder

CRASH = """
import os, signal

def build(classes):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def wrong_answer(path: Path) -> Path:
    """Make a folder whose golden image expects another class than the network's answer."""
    toml = openvino_folder(path) / "model.toml"
    text = toml.read_text()
    golden = re.search(r'^index = (\d)\nlabel = "(\w+)"$', text, re.MULTILINE)
    assert golden
    other = {"cat": 'index = 1\nlabel = "dog"', "dog": 'index = 2\nlabel = "tea"', "tea": 'index = 0\nlabel = "cat"'}
    toml.write_text(text.replace(golden[0], other[golden[2]]))
    return path


def wrong_weights(path: Path) -> Path:
    """Make a folder whose weights do not match their sha256 in model.toml."""
    with (openvino_folder(path) / "model.bin").open("ab") as file:
        file.write(b"!")
    return path


def crashing(path: Path) -> Path:
    """Make a folder whose network kills the process that loads it."""
    code, toml = code_folder(path, trusted=True) / "network.py", path / "model.toml"
    before = hashlib.sha256(code.read_bytes()).hexdigest()
    code.write_text(CRASH)
    toml.write_text(toml.read_text().replace(before, hashlib.sha256(code.read_bytes()).hexdigest()))
    return path
