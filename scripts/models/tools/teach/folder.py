"""Write the model folder of a taught network, and check that it answers as it was evaluated."""

import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from scripts.models.tools.evaluate.run import Answer, Result, answers
from scripts.models.tools.manifest import engine_table, golden_table, labels_file, to_text
from scripts.models.tools.prepare.isolated import Placement
from scripts.models.tools.teach.images import Example
from scripts.models.tools.teach.network import save
from worker.contract.engines.openvino import ENGINE
from worker.contract.files import sha256
from worker.contract.litter import own_files
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.golden import TOLERANCE
from worker.models.labels import SOFTMAX, Labels
from worker.models.output import Golden

NETWORK, MANIFEST = "model.xml", "model.toml"
MAX_GOLDEN = 4
MAX_CHECKED = 500  # images that the finished folder answers once more
SAME_SCORE = 0.01  # of a score, between the head as it was learned and as a part of the network
KEPT_KEYS = ("licence",)  # of the base's model.toml


@dataclass(frozen=True)
class Draft:
    """What a taught model folder is written from; `golden` are images with the answers that it must give."""

    name: str
    base: ModelFolder
    precision: str
    labels: Labels
    unsure_below: float
    golden: Sequence[tuple[Example, int, float]]
    description: str


def write(out: Path, draft: Draft, network: ov.Model) -> ModelFolder:
    """Write the model folder `out`, which has no files but reports, and return it; `check` still has to see it answer.

    Raise ModelError if a file is not as it was written.
    """
    save(network, out / NETWORK)
    for language, lines in draft.labels.names.items():
        (out / labels_file(language)).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (out / "golden").mkdir()
    golden = []
    for number, (example, index, score) in enumerate(draft.golden, 1):
        path = Path("golden") / f"{number}{_suffix(example.path)}"
        shutil.copyfile(example.path, out / path)
        golden.append(Golden(path, index, next(iter(draft.labels.names.values()))[index], score))
    digests = {path.relative_to(out).as_posix(): sha256(path) for path in own_files(out)}
    (out / MANIFEST).write_text(to_text(_table(draft, digests, golden)), encoding="utf-8")
    folder = read_folder(out)
    verify_files(folder)
    return folder


def check(
    folder: ModelFolder, examples: Sequence[Example], scores: np.ndarray, placements: Sequence[Placement]
) -> None:
    """Let `folder` answer its golden images and the first MAX_CHECKED of `examples` as a worker does.

    The processes that answer open it as a starting worker does; this one, with its own libraries loaded, need not.
    Raise ModelError where an answer differs from the golden one, or from the `scores` [N, K] that were evaluated.
    """
    checked, golden = examples[:MAX_CHECKED], folder.golden
    paths = [*(one.path for one in checked), *(one.image for one in golden)]
    for position, answer in answers(folder.path, paths, placements, lambda: None):
        if position >= len(checked):
            _check_golden(golden[position - len(checked)], answer)
            continue
        best = int(scores[position].argmax())
        found = answer.score if isinstance(answer, Answer) else -1.0
        same = isinstance(answer, Answer) and abs(found - scores[position, best]) <= SAME_SCORE
        if not same or (isinstance(answer, Answer) and answer.best[0] != best and _gap(scores[position]) > SAME_SCORE):
            raise ModelError(
                f"{checked[position].path}: found the answer {answer} of the network, needed class {best} "
                f"({scores[position, best]:.3f}), as it was taught: report this"
            )


def _check_golden(golden: Golden, answer: Result) -> None:
    is_answer = isinstance(answer, Answer) and answer.best[0] == golden.index
    score = answer.score if isinstance(answer, Answer) else float("nan")
    if not (is_answer and abs(score - golden.score) <= TOLERANCE):
        raise ModelError(
            f"{golden.image}: found the answer {answer} of the network, needed class {golden.index} "
            f"({golden.score:.3f}), as it was taught: report this"
        )


def _gap(scores: np.ndarray) -> float:
    """Return by how much the best of `scores` [K] is above the second."""
    second, first = np.sort(scores)[-2:]
    return float(first - second)


def _suffix(path: Path) -> str:
    """Return the suffix of `path` if it is an ordinary one."""
    suffix = path.suffix.lower()
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() else ""


def _table(draft: Draft, digests: dict[str, str], golden: Sequence[Golden]) -> dict[str, Any]:
    """Return model.toml: the input is that of the base, seen whole; everything else is new."""
    base = tomllib.loads((draft.base.path / MANIFEST).read_text(encoding="utf-8"))
    return {
        "name": draft.name,
        "version": "1",
        **{key: base[key] for key in KEPT_KEYS if key in base},
        "loader": ENGINE.reads[0],
        "weights": NETWORK,
        "description": {"en": draft.description},
        "files": digests,
        "input": {key: value for key, value in base["input"].items() if key not in ("tiles", "overrides")},
        "output": {
            "activation": SOFTMAX,
            "unsure_below": draft.unsure_below,
            "labels": {language: labels_file(language) for language in draft.labels.names},
        },
        "golden": [golden_table(one) for one in golden],
        "engine": engine_table(ENGINE.name, draft.precision),
    }
