"""with_client.py URL IMAGE...: print the best label and score of each image, as many at once as there are workers."""

import sys

from wanwu_client import Client

url, *paths = sys.argv[1:]
with Client(url) as client:
    for outcome in client.classify_many(paths, top_k=1):
        if outcome.answer and outcome.answer.best:
            print(f"{outcome.answer.best.label}\t{outcome.answer.best.score:.3f}")
        else:
            print(f"{outcome.image}: {outcome.error}", file=sys.stderr)
