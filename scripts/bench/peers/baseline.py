"""The baseline, as the source articles serve: Flask, gunicorn, eager torch, torchvision's transforms, multipart."""

import io

import torch
from flask import Flask, Response, jsonify, request
from PIL import Image

from scripts.bench.peers import common

app = Flask(__name__)
model = common.network()
transform = common.transforms()
labels = common.categories()


@app.route("/predict", methods=["POST"])
def predict() -> Response:
    image = Image.open(io.BytesIO(request.files["image"].read())).convert("RGB")
    batch = transform(image).unsqueeze(0)
    with torch.no_grad():
        scores = torch.nn.functional.softmax(model(batch)[0], dim=0)
    best, indices = torch.topk(scores, common.TOP)
    rows = zip(best.tolist(), indices.tolist(), strict=True)
    return jsonify([{"label": labels[index], "score": score} for score, index in rows])
