"""The baseline, as the source articles serve: Flask, gunicorn, eager torch, torchvision's transforms, multipart."""

import torch
from flask import Flask, Response, jsonify, request

from scripts.bench.peers import common

TOP = 5
app = Flask(__name__)
model, preprocess, labels = common.network(), common.preprocessing(), common.categories()


@app.route("/predict", methods=["POST"])
def predict() -> Response:
    batch = preprocess(request.files["image"].read()).unsqueeze(0)
    with torch.no_grad():
        scores = torch.nn.functional.softmax(model(batch)[0], dim=0)
    best, indices = torch.topk(scores, TOP)
    rows = zip(best.tolist(), indices.tolist(), strict=True)
    return jsonify([{"label": labels[index], "score": score} for score, index in rows])
