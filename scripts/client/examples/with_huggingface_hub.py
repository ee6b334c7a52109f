"""with_huggingface_hub.py URL IMAGE: print the best label and its score."""

import json
import sys
import urllib.request

from huggingface_hub import InferenceClient

url, path = sys.argv[1:]
with urllib.request.urlopen(f"{url}/models", timeout=60) as answer:  # noqa: S310 - the address is the user's own
    name = json.load(answer)["models"][0]["name"]
best = InferenceClient().image_classification(path, model=f"{url}/models/{name}", top_k=1)[0]
print(f"{best.label}\t{best.score:.3f}")
