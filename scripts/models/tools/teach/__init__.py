"""Teach a prepared network new classes from a folder of images, without torch.

The images go through the network up to its last layer, whose values (the features) are learned by a new linear head;
the head then takes the place of the last layer in the network's graph. Nothing heavy is imported here, because the
processes that compute features import this package before they are pinned.
"""

REPORT, PAGE = "teaching.json", "report.html"  # in the model folder
KEPT = "taught.npz"  # beside them: what more can be added to
FORMAT = "wanwu teaching 1"  # `format` in REPORT
LEARNED = "train"  # the folder of what to learn from, if IMAGES has it beside one of HELD_OUT
HELD_OUT = ("val", "valid", "validation", "test")
