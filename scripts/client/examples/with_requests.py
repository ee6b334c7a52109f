"""with_requests.py URL IMAGE: print the best label and its score."""

import sys

import requests

url, path = sys.argv[1:]
with open(path, "rb") as file:
    answer = requests.post(f"{url}/predict", params={"top_k": 1}, files={"image": file}, timeout=60)
if not answer.ok:
    sys.exit(answer.json()["error"]["message"])
best = answer.json()["predictions"][0]
print(f"{best['label']}\t{best['score']:.3f}")
