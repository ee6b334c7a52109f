"""`python write_paddle.py FOLDER`: write a network of PaddlePaddle in both of its formats, and its answers.

It runs in the environment EXPORTERS and imports nothing of this repository.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

OLD_FORMAT = {"FLAGS_enable_pir_api": "0"}  # .pdmodel instead of .json
MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
CLASSES = 3
SETTINGS = """
Global:
  model_name: small
PreProcess:
  transform_ops:
  - ResizeImage:
      resize_short: {resize}
  - CropImage:
      size: {side}
  - NormalizeImage:
      channel_num: 3
      mean: [0.485, 0.456, 0.406]
      order: ''
      scale: 0.00392156862745098
      std: [0.229, 0.224, 0.225]
  - ToCHWImage: null
PostProcess:
  Topk:
    topk: 5
    label_list: [cat, dog, tea]
"""  # as PaddleClas writes it


def network() -> Any:
    import paddle
    from paddle import nn

    class Squeeze(nn.Layer):
        """Weigh the channels, as PP-LCNet and MobileNetV3 do."""

        def __init__(self) -> None:
            super().__init__()
            self.pool, self.conv, self.gate = nn.AdaptiveAvgPool2D(1), nn.Conv2D(8, 8, 1), nn.Hardsigmoid()

        def forward(self, values: Any) -> Any:
            return values * self.gate(self.conv(self.pool(values)))

    paddle.seed(1)
    net = nn.Sequential(
        nn.Conv2D(3, 8, 3, stride=2, padding=1, bias_attr=False), nn.BatchNorm2D(8), nn.Hardswish(),
        nn.MaxPool2D(3, 2, 1), Squeeze(), nn.Conv2D(8, 8, 3, padding=1, groups=8), nn.ReLU6(), nn.Dropout(0.2),
        nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(8, CLASSES), nn.Softmax(),
    )  # fmt: skip
    net[10].weight.set_value(net[10].weight * 4)
    net.eval()
    return net


def transformer(side: int) -> Any:
    """Return a small vision transformer, as PaddleClas writes them."""
    import paddle
    from paddle import nn

    width, patch = 16, 8
    count = (side // patch) ** 2 + 1

    class Transformer(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.norm = nn.Conv2D(3, width, patch, patch), nn.LayerNorm(width)
            self.token, self.places = self.create_parameter([1, 1, width]), self.create_parameter([1, count, width])
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.steps = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            self.head = nn.Linear(width, CLASSES)

        def forward(self, images: Any) -> Any:
            batch = paddle.shape(images)[0]
            values = self.patches(images).flatten(2).transpose((0, 2, 1))
            values = paddle.concat((self.token.expand((batch, -1, -1)), values), axis=1) + self.places
            qkv = self.qkv(self.norm(values)).reshape((-1, count, 3, 2, width // 2)).transpose((2, 0, 3, 1, 4))
            weights = nn.functional.softmax((qkv[0] * 0.4).matmul(qkv[1].transpose((0, 1, 3, 2))), axis=-1)
            values += self.out(weights.matmul(qkv[2]).transpose((0, 2, 1, 3)).reshape((-1, count, width)))
            values += self.steps(self.norm(values))
            return self.head(self.norm(values)[:, 0])

    paddle.seed(2)
    net = Transformer()
    net.eval()
    return net


def save(folder: Path, name: str) -> None:
    """Write the network to `folder`/`name` in the format that the environment chooses, and its answers."""
    import paddle

    pixels = np.load(folder / "pixels.npy")
    side = pixels.shape[1]
    net = transformer(side) if name == "transformer" else network()
    values = ((pixels.astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    specification = [paddle.static.InputSpec([None, 3, side, side], "float32", "x")]
    target = folder / name
    target.mkdir()
    paddle.jit.save(paddle.jit.to_static(net, input_spec=specification, full_graph=True), str(target / "inference"))
    (target / "inference.yml").write_text(SETTINGS.format(side=side, resize=side + 4))
    np.save(target / "answers.npy", net(paddle.to_tensor(values)).numpy())
    paddle.save(net.state_dict(), str(folder / "weights.pdparams"))


def main(folder: Path) -> None:
    save(folder, "pir")
    save(folder, "transformer")
    command = [sys.executable, __file__, str(folder), "pdmodel"]
    subprocess.run(command, check=True, env=os.environ | OLD_FORMAT)
    names = ("pir", "transformer", "pdmodel")
    answers = {name: (folder / name / "answers.npy") for name in names}
    np.savez(folder / "answers.npz", **{name: np.load(file) for name, file in answers.items()})
    for file in answers.values():
        file.unlink()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        save(Path(sys.argv[1]), sys.argv[2])
    else:
        main(Path(sys.argv[1]))
