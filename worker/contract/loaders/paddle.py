"""Declare the loader of PaddlePaddle's inference networks: a .pdmodel, and its weights in a .pdiparams next to it."""

from worker.contract.declarations import LoaderDeclaration

LOADER = LoaderDeclaration(
    name="paddle",
    precedence=120,
    module="converted",
    format="paddle",
    suffixes=(".pdmodel",),
    converted_to="openvino",
    settings=("inference.yml",),
    weights=(r"inference\.pd(model|iparams)", r"model\.pd(model|iparams)"),
)
