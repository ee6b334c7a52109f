"""`python write_tensorflow.py FOLDER`: write networks of Keras in every format of TensorFlow, and their answers.

It runs in the environment EXPORTERS and imports nothing of this repository.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
CLASSES = 3


def network(side: int, rescales: bool, last: str | None = "softmax", channels: int = 3) -> Any:
    """Return a small network; `rescales` says whether it takes bytes and brings them to -1 to 1 itself."""
    keras.utils.set_random_seed(1)
    layers, wide = keras.layers, keras.initializers.RandomNormal(stddev=1.5)
    taken = keras.Input((side, side, channels), name="image")
    values = layers.Rescaling(1 / 127.5, -1)(taken) if rescales else taken
    values = layers.Conv2D(8, 3, strides=2, activation="relu")(values)
    values = layers.BatchNormalization()(values)
    values = layers.DepthwiseConv2D(3, padding="same", activation="relu")(values)
    values = layers.GlobalAveragePooling2D()(values)
    return keras.Model(taken, layers.Dense(CLASSES, last, name="scores", kernel_initializer=wide)(values))


def lite(model: Any, path: Path, images: np.ndarray, kind: Any = None, half: bool = False) -> np.ndarray:
    """Write `model` for TensorFlow Lite and return its interpreter's scores for `images`.

    `kind` is the type of input and output of a fully quantised network, None for a float one.
    """

    def samples() -> Iterator[list[np.ndarray]]:
        yield from ([image[None]] for image in images)

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind or half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if half:
        converter.target_spec.supported_types = [tf.float16]
    if kind:
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = kind
    path.write_bytes(converter.convert())
    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    return np.concatenate([_interpreted(interpreter, taken, given, image[None]) for image in images])


def _interpreted(interpreter: Any, taken: Any, given: Any, image: np.ndarray) -> np.ndarray:
    if taken["dtype"] != np.float32:  # a pixel is a step of the input's quantisation
        image = np.rint(image + taken["quantization"][1])
    interpreter.set_tensor(taken["index"], image.astype(taken["dtype"]))
    interpreter.invoke()
    scores = interpreter.get_tensor(given["index"]).astype(np.float32)
    if given["dtype"] == np.float32:
        return scores
    step, zero = given["quantization"]
    return ((scores - zero) * step).astype(np.float32)


def frozen(model: Any, path: Path) -> None:
    """Write `model` as one graph with its weights as constants, as TensorFlow 1 froze networks."""
    function = tf.function(lambda images: model(images))
    concrete = function.get_concrete_function(tf.TensorSpec([None, *model.input_shape[1:]], tf.float32))
    graph = convert_variables_to_constants_v2(concrete).graph.as_graph_def()
    tf.io.write_graph(graph, str(path.parent), path.name, as_text=False)


def main(folder: Path) -> None:
    pixels = np.load(folder / "pixels.npy")
    images, side = pixels.astype(np.float32), pixels.shape[1]
    normalised = (images / 255 - MEAN) / STD
    model, plain, raw = network(side, True), network(side, False), network(side, True, None)
    grey = network(side, True, channels=1)
    answers = {
        "uint8.tflite": lite(model, folder / "uint8.tflite", images, tf.uint8),
        "int8.tflite": lite(model, folder / "int8.tflite", images, tf.int8),
        "float-outside.tflite": lite(model, folder / "float-outside.tflite", images, tf.float32),
        "float.tflite": lite(plain, folder / "float.tflite", normalised),
        "half.tflite": lite(plain, folder / "half.tflite", normalised, half=True),
        "grey.onnx": grey(images[..., :1]).numpy(),
        **{name: model(images).numpy() for name in ("saved_model", "exported", "frozen.pb", "nhwc.onnx")},
        "logits": raw(images).numpy(),
    }
    tf.saved_model.save(model, str(folder / "saved_model"))
    model.export(str(folder / "exported"), verbose=False)
    raw.export(str(folder / "logits"), verbose=False)
    frozen(model, folder / "frozen.pb")
    tf2onnx.convert.from_keras(model, output_path=str(folder / "nhwc.onnx"))
    tf2onnx.convert.from_keras(grey, output_path=str(folder / "grey.onnx"))
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    np.savez(folder / "answers.npz", **answers)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
