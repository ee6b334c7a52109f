"""Labels that come with a request to a zero-shot model, as the Hugging Face Inference API has them."""

import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass

from worker.contract.errors import BadParameter
from worker.contract.limits import MAX_CANDIDATE_LABELS, MAX_LABEL_CHARACTERS
from worker.models.labels import Labels
from worker.models.scores import Output
from worker.models.zero_shot import template_fault

CANDIDATE_LABELS, HYPOTHESIS_TEMPLATE = "candidate_labels", "hypothesis_template"
CANDIDATES = (CANDIDATE_LABELS, HYPOTHESIS_TEMPLATE)
UNDETERMINED = "und"  # ISO 639-2: a client does not say which language its labels are in
COMMAS = re.compile("[,，]")


@dataclass(frozen=True)
class Candidates:
    """The labels of one request, and the template they are put into, None for the model's own."""

    labels: tuple[str, ...]
    template: str | None

    def output(self, own: Output) -> Output:
        """The answer's form: all of the labels unless top_k says less, with the activation of the model's `own`."""
        return Output(own.activation, Labels({UNDETERMINED: self.labels}), top_k=len(self.labels))


def take_candidates(*parts: Mapping[str, object]) -> tuple[Candidates | None, list[dict[str, object]]]:
    """The candidate labels in the `parts` of a request, None when there are none, and the parts without them.

    Raises BadParameter, naming parameter, finding and need.
    """
    labels, template = (_one(name, parts) for name in CANDIDATES)
    rest = [{name: value for name, value in part.items() if name not in CANDIDATES} for part in parts]
    if labels is None:
        if template is not None:
            raise BadParameter(
                f"{HYPOTHESIS_TEMPLATE} says what {CANDIDATE_LABELS} are put into; give it with {CANDIDATE_LABELS}"
            )
        return None, rest
    return Candidates(_labels(labels), None if template is None else _template(template)), rest


def _one(name: str, parts: tuple[Mapping[str, object], ...]) -> object:
    found = [part[name] for part in parts if part.get(name) is not None]
    if len(found) > 1:
        raise BadParameter(f"{name} is given twice; give it once")
    return found[0] if found else None


def _labels(value: object) -> tuple[str, ...]:
    listed = _listed(value) if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(label, str) for label in listed):
        found = reprlib.repr(value)  # it may be megabytes
        raise BadParameter(
            f"{CANDIDATE_LABELS} must be a list of texts, or one text with commas between them, found {found}"
        )
    if len(listed) > MAX_CANDIDATE_LABELS:
        raise BadParameter(
            f"{CANDIDATE_LABELS} must be at most {MAX_CANDIDATE_LABELS}, found {len(listed)}; send fewer"
        )
    return tuple(_text(CANDIDATE_LABELS, label) for label in listed)


def _listed(text: str) -> object:
    """The labels of a query or a form: a JSON list where labels hold commas themselves."""
    if not text.lstrip().startswith("["):
        return COMMAS.split(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _template(value: object) -> str:
    if not isinstance(value, str):
        raise BadParameter(f"{HYPOTHESIS_TEMPLATE} must be a text, found {reprlib.repr(value)}")
    template = _text(HYPOTHESIS_TEMPLATE, value)
    if fault := template_fault(template):
        raise BadParameter(f"{HYPOTHESIS_TEMPLATE} {fault}")
    return template


def _text(name: str, text: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise BadParameter(f"{name} holds a blank text; each label needs a letter at least")
    if len(stripped) > MAX_LABEL_CHARACTERS:
        raise BadParameter(f"{name} holds {len(stripped)} characters, at most {MAX_LABEL_CHARACTERS} fit; shorten it")
    try:
        stripped.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can hold
        raise BadParameter(f"{name} holds half a character, found {stripped!r}; send whole ones") from error
    return stripped
