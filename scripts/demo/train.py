"""Train the demo model and write its folder: `python3 -m scripts.demo.train [--seed N] [--out FOLDER]`.

Every picture is new: two processes render while one thread trains. One seed fixes the pictures, their order
and the first weights; on the same kind of CPU and the same versions it gives the same network again.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from scripts.demo.classes import check, read_things
from scripts.demo.decode import decode
from scripts.demo.export import TooPoorError, Trained, export
from scripts.demo.folder import MANIFEST
from scripts.demo.network import build, normalise
from scripts.demo.pictures import FontMissingError, glyphs, picture

FOLDER = Path(__file__).parents[2] / "worker" / "demo"
SEED = 20_250
RENDERERS = 2  # processes
THREADS = 1  # of torch: more would only wait for the renderers, and one adds in a fixed order
REPORT_EVERY = 100  # steps


class UnfitError(ValueError):
    """The place given for the model folder cannot be used."""


@dataclass(frozen=True)
class Recipe:
    """How long and how hard to train; the defaults made the committed model."""

    steps: int = 3000
    batch: int = 128
    learning_rate: float = 5e-3  # peak, reached after `warm_up` of the steps
    warm_up: float = 0.15
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    held_out: int = 2000  # pictures
    least_accuracy: float = 0.97


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Batch `step` of stream `seed`: uint8 [batch, SIZE, SIZE, 3] and int64 labels [batch]."""

    def __init__(self, seed: int, recipe: Recipe) -> None:
        self.seed, self.recipe = seed, recipe

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        first = step * self.recipe.batch
        drawn = [picture(self.seed, index) for index in range(first, first + self.recipe.batch)]
        pixels = np.stack([decode(one.jpeg) for one in drawn])
        return torch.from_numpy(pixels), torch.tensor([one.label for one in drawn])


def train(seed: int, recipe: Recipe) -> Trained:
    """The trained network in evaluation mode, and the seconds it took."""
    started = time.monotonic()
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)
    network = build(len(read_things())).to(memory_format=torch.channels_last)
    peak = recipe.learning_rate
    optimiser = torch.optim.AdamW(network.parameters(), peak, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, total_steps=recipe.steps, pct_start=recipe.warm_up)
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    loader = DataLoader(Batches(seed, recipe), batch_size=None, num_workers=RENDERERS, prefetch_factor=4)
    right = seen = 0
    for step, (pixels, labels) in enumerate(loader, start=1):
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(normalise(pixels)).float()
        optimiser.zero_grad()
        criterion(logits, labels).backward()
        optimiser.step()
        schedule.step()
        right += int((logits.argmax(1) == labels).sum())
        seen += len(labels)
        if step % REPORT_EVERY == 0 or step == recipe.steps:
            seconds = time.monotonic() - started
            print(f"step {step} of {recipe.steps}: {right / seen:.2%} right, {seconds:.0f} s", flush=True)
            right = seen = 0
    return Trained(network.eval(), seed, time.monotonic() - started)


def make(seed: int, folder: Path, recipe: Recipe) -> None:
    """Train, export, evaluate, write `folder`.

    Raises UnfitError (nothing may be written there) or FontMissingError before the long work starts, and
    TooPoorError after it.
    """
    refuse_unfit(folder)
    glyphs()
    faults = check(read_things())
    if faults:
        raise ValueError("\n".join(faults))
    figures = export(train(seed, recipe), folder, recipe.held_out, recipe.least_accuracy)
    kind = figures["precision"]
    print(f"{figures['accuracy']:.2%} of {recipe.held_out} held-out pictures right ({kind}); wrote {folder}")


def seed_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed; give a whole number from 0")
    return int(text)


def refuse_unfit(folder: Path) -> None:
    """`UnfitError` unless `folder` can be made or is a model folder, which may be replaced."""
    if not folder.parent.is_dir():
        raise UnfitError(f"--out {folder}: {folder.parent} is not a folder; make it first")
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise UnfitError(f"--out {folder} holds no {MANIFEST}, so it is not replaced; name a new folder")


def main() -> int:
    parser = argparse.ArgumentParser("python3 -m scripts.demo.train", description="Train the demo model.")
    parser.add_argument("--seed", type=seed_number, default=SEED, help=f"of everything random ({SEED})")
    parser.add_argument("--out", type=Path, default=FOLDER, help="model folder to write (worker/demo)")
    arguments = parser.parse_args()
    try:
        make(arguments.seed, arguments.out.absolute(), Recipe())
    except (FontMissingError, TooPoorError, UnfitError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
