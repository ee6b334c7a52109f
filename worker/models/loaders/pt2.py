"""Load torch.export's .pt2 archives safely.

torch.export.load trusts them: it unpickles, evaluates symbolic shapes as Python, and looks up any function of torch
that a node names. So the archive is first checked, with the same reader, to contain only what a classifier needs.
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from worker.contract.lfs import refuse_pointer
from worker.contract.toml_reader import ModelError, abbreviate
from worker.models.folder import ModelFolder
from worker.models.loaders import Description, detect
from worker.models.loaders.compat import open_pt2
from worker.models.loaders.exported import description_from_shape

MODEL = "models/model.json"
CONFIGURATIONS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
SAMPLES = "data/sample_inputs/model.pt"
OLD_PICKLES = ("data/weights/model.pt", "data/constants/model.pt")
# Operators of torch, and arithmetic on shapes. Dunder names are excluded.
OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims)\.(?!__)\w+(\.(?!__)\w+)?|torch\.sym_\w+"
    r"|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
)
EXPRESSION = re.compile(
    r"(?:(?:Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|FloorDiv|CleanDiv|PythonMod|Eq|Ne|Lt|Le|Gt|Ge"
    r"|Equality|Unequality|StrictLessThan|StrictGreaterThan|LessThan|GreaterThan|And|Or|Not|true|false|True|False"
    r"|positive|negative|integer|nonnegative|zero|real|precision|[su]\d+)(?!\w)|'[su]\d+'"
    r"|-?\d+(?:\.\d+)?|[(),= -])*"
)
PATTERNS = {"target": OPERATOR, "as_operator": OPERATOR, "expr_str": EXPRESSION}
DIMENSIONS = 4


def load(folder: ModelFolder) -> torch.nn.Module:
    """Return the exported network. Raise ModelError unless it takes the input and batch sizes of model.toml."""
    sizes = _input_sizes(check(folder.weights), folder.weights)
    batch, shape = sizes[0].get("as_int"), [size["as_int"] for size in sizes[1:]]
    height, width, channels = folder.input.shape
    if shape != [channels, height, width]:
        raise ModelError(
            f"{folder.weights}: takes [channels, height, width] {shape}, model.toml says "
            f"{[channels, height, width]}; set [input] channels and size to what it takes"
        )
    if batch is not None and folder.engine.batch_sizes != (batch,):
        raise ModelError(
            f"{folder.weights}: takes only batches of {batch}, model.toml says {list(folder.engine.batch_sizes)}; "
            "export it again with dynamic_shapes for the first dimension"
        )
    try:
        return torch.export.load(folder.weights).module()
    except Exception as error:  # a damaged file may make torch raise anything
        raise ModelError(f"{folder.weights}: not a network that torch.export can load: {error}") from error


def describe(path: Path, architecture: str) -> Description:
    """Return the description: the exported input's shape, and ImageNet's usual preprocessing.

    Raise ModelError if the archive is damaged or unsafe.
    """
    main = detect.find_file(path, (".pt2",))
    _, *sizes = _input_sizes(check(main), main)
    return description_from_shape("pt2", main, [], *(size["as_int"] for size in sizes))


def check(path: Path) -> dict[str, Any]:
    """Return the archive's model.json. Raise ModelError if it contains more than tensors and torch's operators."""
    refuse_pointer(path)
    try:
        reader = open_pt2(path)
        files = set(reader.get_file_names())
        model: dict[str, Any] = json.loads(reader.read_string(MODEL))
        configurations = [json.loads(reader.read_string(name)) for name in CONFIGURATIONS]
        faults = _disallowed(model) + [name for name in OLD_PICKLES if name in files]
        faults += [name for name in files if name.startswith("models/") and name != MODEL]
        for key, entry in (pair for each in configurations for pair in each["config"].items()):
            if entry["use_pickle"] or not entry["path_name"].startswith(("weight_", "tensor_")):
                faults.append(f"{key} pickled")
        if SAMPLES in files and not _safe(reader.read_bytes(SAMPLES)):
            faults.append(SAMPLES)
    except Exception as error:  # a damaged file may raise anything
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise ModelError(f"{path}: not an archive of torch.export: {reason}; copy it again") from error
    if faults:
        raise ModelError(
            f"{path}: contains more than tensors and torch's operators, and was not loaded: "
            f"{abbreviate(sorted(set(faults)))}; "
            "export the network again with torch.export.save"
        )
    return model


def _input_sizes(model: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """Return the four dimensions of the only input; all but the first are fixed. Raise ModelError, naming `path`."""
    graph = model["graph_module"]
    inputs = [each["user_input"]["arg"] for each in graph["signature"]["input_specs"] if "user_input" in each]
    shapes = [
        graph["graph"]["tensor_values"][each["as_tensor"]["name"]]["sizes"] for each in inputs if "as_tensor" in each
    ]
    sizes: list[dict[str, Any]] = shapes[0] if len(shapes) == len(inputs) == 1 else []
    if len(sizes) != DIMENSIONS or not all("as_int" in size for size in sizes[1:]):
        raise ModelError(f"{path}: needed one input [N, channels, height, width], all but N fixed; export it again")
    return sizes


def _disallowed(tree: object) -> list[str]:
    return [text for key, text in _texts(tree) if not PATTERNS[key].fullmatch(text)]


def _texts(tree: object) -> Iterator[tuple[str, str]]:
    """Yield the key and value of every text in `tree` that torch.export.load would look up or evaluate."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in PATTERNS and isinstance(value, str):
                yield key, value
            else:
                yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)


def _safe(data: bytes) -> bool:
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # torch.export.load would then unpickle it
        return False
    return True
