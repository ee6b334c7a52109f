#!/bin/sh
# curl.sh URL IMAGE: print the answer as JSON.
exec curl --fail-with-body --silent --show-error --form "image=@$2" "$1/predict?top_k=1"
