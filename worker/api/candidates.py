"""Candidate labels of a request to a zero-shot model, in the form of the Hugging Face Inference API."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from worker.api import json_text
from worker.api.uploads import repeated_parameter
from worker.contract.errors import ErrorCode, ServiceError, quoted
from worker.contract.limits import MAX_CANDIDATE_LABELS, MAX_LABEL_CHARACTERS
from worker.models.labels import Labels
from worker.models.scores import Output
from worker.models.zero_shot import template_fault

CANDIDATE_LABELS, HYPOTHESIS_TEMPLATE = "candidate_labels", "hypothesis_template"
CANDIDATES = (CANDIDATE_LABELS, HYPOTHESIS_TEMPLATE)
UNDETERMINED = "und"  # ISO 639-2: clients do not declare the language of their labels
COMMAS = re.compile("[,，]")
LABELS = msgspec.json.Decoder(list[str])


@dataclass(frozen=True)
class Candidates:
    """The labels of one request and their hypothesis template; None means the model's own template."""

    labels: tuple[str, ...]
    template: str | None

    def output(self, own: Output) -> Output:
        """Return an output over these labels, with the activation of `own`; all are shown unless top_k is set."""
        return Output(own.activation, Labels({UNDETERMINED: self.labels}), top_k=len(self.labels))


def take_candidates(*parts: Mapping[str, object]) -> tuple[Candidates | None, list[dict[str, object]]]:
    """Return the candidate labels in the `parts` of a request, or None, and the parts without them.

    Raise ServiceError BAD_PARAMETER if they are repeated, malformed or exceed a limit.
    """
    labels, template = (_one(name, parts) for name in CANDIDATES)
    rest = [{name: value for name, value in part.items() if name not in CANDIDATES} for part in parts]
    if labels is None:
        if template is not None:
            raise _bad_parameter(
                f"found {HYPOTHESIS_TEMPLATE} alone, needed {CANDIDATE_LABELS} that are put into it: send both or none"
            )
        return None, rest
    return Candidates(_labels(labels), None if template is None else _template(template)), rest


def _one(name: str, parts: tuple[Mapping[str, object], ...]) -> object:
    found = [part[name] for part in parts if part.get(name) is not None]
    if len(found) > 1:
        raise repeated_parameter(name)
    return found[0] if found else None


def _labels(value: object) -> tuple[str, ...]:
    listed = _listed(value) if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(label, str) for label in listed):
        raise _bad_parameter(
            f"found {CANDIDATE_LABELS} {quoted(value)}, needed labels: "
            "send a list of strings, or one string with commas"
        )
    if len(listed) > MAX_CANDIDATE_LABELS:
        raise _bad_parameter(
            f"found more than {MAX_CANDIDATE_LABELS} {CANDIDATE_LABELS}, needed at most {MAX_CANDIDATE_LABELS}: "
            "send fewer"
        )
    return tuple(_text(CANDIDATE_LABELS, label) for label in listed)


def _listed(text: str) -> list[str]:
    """Split the labels of a query or form at commas, or as a JSON list, in which labels may contain commas."""
    if not text.lstrip().startswith("["):
        return COMMAS.split(text, MAX_CANDIDATE_LABELS)
    return json_text.parse(text, LABELS, f"a list of strings as {CANDIDATE_LABELS}", ErrorCode.BAD_PARAMETER)


def _template(value: object) -> str:
    if not isinstance(value, str):
        raise _bad_parameter(f"found {HYPOTHESIS_TEMPLATE} {quoted(value)}, needed a string: correct it")
    template = _text(HYPOTHESIS_TEMPLATE, value)
    if fault := template_fault(template):
        raise _bad_parameter(f"{HYPOTHESIS_TEMPLATE} {fault}")
    return template


def _text(name: str, text: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise _bad_parameter(f"found a blank text in {name}, needed one letter at least: fill or remove it")
    if len(stripped) > MAX_LABEL_CHARACTERS:
        raise _bad_parameter(
            f"found {len(stripped)} characters in {name}, needed at most {MAX_LABEL_CHARACTERS}: shorten it"
        )
    return stripped


def _bad_parameter(message: str) -> ServiceError:
    return ServiceError(ErrorCode.BAD_PARAMETER, message)
