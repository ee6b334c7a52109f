"""Evaluate a model folder on labelled images: find them, classify them as a worker does, compute metrics, report.

Nothing is imported here, because the processes that classify import this package before they are pinned.
"""

JSON, PAGE = "evaluation.json", "evaluation.html"  # the files of a report
FORMAT = "wanwu evaluation 1"  # the JSON file's `format`
COMPARISON_JSON, COMPARISON_PAGE = "comparison.json", "comparison.html"  # the same of several models
COMPARISON_FORMAT = "wanwu comparison 1"
