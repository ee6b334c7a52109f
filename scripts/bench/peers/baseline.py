"""The articles' way: Flask, gunicorn, torch as it comes, torchvision's transforms, a multipart upload."""

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
    return jsonify([
        {"label": labels[index], "score": float(score)} for score, index in zip(best, indices.tolist(), strict=True)
    ])  # fmt: skip
