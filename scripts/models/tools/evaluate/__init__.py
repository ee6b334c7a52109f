"""Evaluating a model folder on labelled images: find them, answer them as serving does, count, report.

Nothing is imported here, for the processes that answer come through here before they are pinned.
"""

JSON, PAGE = "evaluation.json", "evaluation.html"  # what a report consists of
FORMAT = "wanwu evaluation 1"  # what the JSON file calls itself
