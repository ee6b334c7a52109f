"""How thoroughly to prepare a model: on how many images, and for how long to time each candidate."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """The number of images, three fifths of which calibrate, and the time limits of one benchmark in seconds.

    `check_s` limits the comparison of answers, `measure_s` the timing of all batch sizes and `busy_s` the timing of all
    cores at once; `min_run_s` is the least time that one batch size runs in each round.
    """

    images: int
    check_s: float
    measure_s: float
    min_run_s: float
    busy_s: float
    quick: bool = False


# 300 images calibrate, nncf's default number; the other 200 resolve a difference of half a percent.
THOROUGH = Effort(images=500, check_s=20.0, measure_s=5.0, min_run_s=0.05, busy_s=1.5)
# 60 images are compared: int8 may answer one of them differently and still pass, f32 may not.
QUICK = Effort(images=150, check_s=5.0, measure_s=0.5, min_run_s=0.01, busy_s=0.5, quick=True)
