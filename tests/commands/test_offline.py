"""Every loader on a machine without a network, three through the whole service: its library's logits, no name asked."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import folders, no_network
from tests.unit.worker.models.loaders.test_logits import FURTHEST, MADE

RESIZE = 36  # what the folders scale images to: one of that size is only cut, alike by everybody
LINES = {name: index for index, name in enumerate(folders.LABELS["en"])}


@pytest.mark.skipif(not no_network.possible(), reason="this account may not make namespaces")
def test_without_a_network_every_loader_answers_as_its_library_does(tmp_path: Path) -> None:
    made = {name: make(tmp_path / name) for name, (make, _) in MADE.items()}
    home, image = tmp_path / "service", tmp_path / "image.png"
    home.mkdir()
    folders.image(folders.RED, (RESIZE, RESIZE)).save(image)
    command = [sys.executable, "-m", "tests.commands.offline_service", *map(str, (home, image, *made.values()))]
    done = no_network.run(tmp_path, command, dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    *_, printed, asked = done.stdout.splitlines()
    answers = json.loads(printed)
    for name, (_, library) in MADE.items():
        wanted = folders.reference(library(made[name]), image)[0].numpy()
        in_alphabet = [wanted[LINES[label]] for label in sorted(LINES)]
        assert np.abs(np.array(answers[name]) - in_alphabet).max() < FURTHEST, name
    assert asked == "DNS lookups:"
