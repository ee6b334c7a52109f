"""Declare the loader of TensorFlow's SavedModel folders and frozen graphs, which Keras's `model.export` writes, too."""

from pathlib import Path

from worker.contract.declarations import LoaderDeclaration

SAVED_MODEL = "saved_model.pb"


def _detects(folder: Path) -> bool:
    return (folder / SAVED_MODEL).is_file()


LOADER = LoaderDeclaration(
    name="tensorflow",
    precedence=110,
    module="converted",
    format="tensorflow",
    suffixes=(".pb",),
    detects=_detects,
    marker=SAVED_MODEL,
    converted_to="openvino",
    weights=(r"saved_model\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})",),
)
