"""The outputs of an exported network, and which of them has a score for each label."""

from collections.abc import Sequence
from dataclasses import dataclass

import openvino as ov

from worker.contract.toml_reader import ModelError
from worker.models.loaders.graph import name_of

# Operations that leave the scores as they are, or round them.
PASSING = ("Convert", "FakeQuantize", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Clamp", "Result")
QUANTISING, DEQUANTISING = "FakeQuantize", ("Multiply", "Subtract")
SOFTMAX, SIGMOID, RAW = "Softmax", "Sigmoid", ""


@dataclass(frozen=True)
class GraphOutput:
    """An output: its name, its shape and type as text, and its classes, None if that number is dynamic.

    `scores` says whether it may hold one score for each class: real numbers [N, classes]. `inside` is the activation
    that its values went through already: Softmax, Sigmoid or "".
    """

    name: str
    shape: str
    type: str
    classes: int | None
    scores: bool
    inside: str

    def fits(self, count: int) -> bool:
        """Return whether it may have a score for each of `count` labels."""
        return self.scores and self.classes in (None, count)

    def __str__(self) -> str:
        return f"{self.name} {self.shape} {self.type}"


def read_outputs(network: ov.Model) -> tuple[GraphOutput, ...]:
    """Return the outputs of `network` in its order."""
    return tuple(map(_read, network.outputs))


def choose_output(outputs: Sequence[GraphOutput], name: str, count: int) -> GraphOutput:
    """Return the output called `name`, or the first with a score for each of `count` labels if `name` is "".

    Raise ModelError if there is none.
    """
    listed = ", ".join(map(str, outputs))
    if name:
        chosen = next((output for output in outputs if output.name == name), None)
        if chosen is None:
            raise ModelError(f"OUTPUT: found {name!r}, the network has {listed}")
    else:
        fitting = [output for output in outputs if output.fits(count)]
        chosen = next(iter(fitting or (outputs if len(outputs) == 1 else ())), None)
        if chosen is None:
            raise ModelError(
                f"labels: found {count}, but none of the outputs has one score for each: {listed}: "
                "needed as many labels as scores, or the network exported with its scores"
            )
    if not chosen.scores:
        raise ModelError(f"output {chosen}: {_remedy(chosen)}")
    return chosen


def _remedy(output: GraphOutput) -> str:
    if output.type.lstrip("b").startswith("f"):
        return "needed one score for each class, [N, classes]: export the network with its classifier, as it ends there"
    return (
        "it holds whole numbers, such as the index of the best class, needed one score for each class: "
        "export the network without its last step (ArgMax or TopK)"
    )


def _read(port: ov.Output) -> GraphOutput:
    shape, kind = port.get_partial_shape(), port.get_element_type()
    # Sides of 1 after the batch do not matter: [N, classes, 1, 1] is what a convolution as classifier gives.
    if shape.rank.is_dynamic:
        sides: list[ov.Dimension] = []
    else:
        sides = [side for side in list(shape)[1:] if side.is_dynamic or side.get_length() != 1]
        if len(shape) == 1:  # of a network for a single image without a batch
            sides = list(shape)
    static = len(sides) <= 1 and all(side.is_static for side in sides) and not shape.rank.is_dynamic
    classes = (sides[0].get_length() if sides else 1) if static else None
    scores = kind.is_real() and len(sides) <= 1
    return GraphOutput(name_of(port), str(shape), kind.get_type_name(), classes, scores, _activation_inside(port))


def _activation_inside(port: ov.Output) -> str:
    node, scaled = port.get_node(), False
    while (kind := node.get_type_name()) in (*PASSING, *DEQUANTISING):
        if kind in DEQUANTISING:
            scaled = True
        elif kind == QUANTISING:  # what was scaled is what this rounded to whole numbers
            scaled = False
        node = node.input_value(0).get_node()
    if scaled:
        return RAW
    if kind == SIGMOID:
        return SIGMOID
    return SOFTMAX if kind == SOFTMAX or (kind == "Divide" and _divides_by_own_sum(node)) else RAW


def _divides_by_own_sum(node: ov.Node) -> bool:
    """Return whether the division `node` ends a softmax of several operations: exp(x) / sum(exp(x))."""
    powers, total = (node.input_value(index).get_node() for index in (0, 1))
    return (
        powers.get_type_name() == "Exp"
        and total.get_type_name() == "ReduceSum"
        and total.input_value(0).get_node().get_friendly_name() == powers.get_friendly_name()
    )
