"""How thoroughly a model is prepared: on how many images, and how long each way to run it is timed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """The images in all, of which three of five calibrate, and seconds of each part of a trial.

    `check_s` bounds the comparison of answers, `measure_s` the timing of all batch sizes, `work_s` that of all cores
    at once; `turn_s` is how long one size runs in a round, where one run is shorter.
    """

    images: int
    check_s: float
    measure_s: float
    turn_s: float
    work_s: float
    quick: bool = False


# 300 images calibrate, as many as nncf takes by default; 200 show a difference of half a percent.
WHOLE = Effort(images=500, check_s=20.0, measure_s=5.0, turn_s=0.05, work_s=1.5)
# 60 images are compared: a network that answers one of them otherwise still passes in int8, and in f32 it does not.
QUICK = Effort(images=150, check_s=5.0, measure_s=0.5, turn_s=0.01, work_s=0.5, quick=True)
