"""JSON schemas for the OpenAPI document: parameters, answers and errors."""

from typing import Any

from worker.api.candidates import CANDIDATE_LABELS, HYPOTHESIS_TEMPLATE
from worker.contract.error_codes import ErrorCode
from worker.contract.languages import BOTH
from worker.contract.languages import PATTERN as LANGUAGE
from worker.contract.limits import MAX_CANDIDATE_LABELS, MAX_LABEL_CHARACTERS
from worker.models.labels import ACTIVATIONS
from worker.models.scores import THRESHOLD, TOP_K
from worker.process.health import BROKEN, DRAINING, READY, STARTING

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
COUNT: Json = {"type": "integer", "minimum": 0}
TRUTH: Json = {"type": "boolean"}
IN_BASE64: Json = TEXT | {"contentEncoding": "base64"}
BYTES: Json = {"type": "string", "format": "binary"}
NAMES: Json = {"type": ["string", "null"]}
LABEL: Json = TEXT | {"minLength": 1, "maxLength": MAX_LABEL_CHARACTERS}
RESIZE: Json = {
    "type": ["integer", "array", "null"],
    "items": COUNT,
    "description": "as in model.toml: the shorter side, or [height, width], before the centre is cut out; "
    "null where the whole image is stretched",
}
HEAT_CELLS: Json = {
    "type": "array",
    "items": {"type": "array", "items": NUMBER},
    "description": "with heat_map: the heat from 0 to 1 of each cell of the part that the network sees, row by row",
}
# Models differ in defaults, languages and classes; one document describes them all.
PARAMETERS: dict[str, Json] = {
    "top_k": {
        "type": "integer",
        "minimum": 1,
        "description": f"how many classes; without it what the model's folder says, {TOP_K} where that says nothing",
    },
    "threshold": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "only classes with at least this score; "
        f"without it what the model's folder says, {THRESHOLD:g} where that says nothing",
    },
    "labels": {
        "type": "string",
        "pattern": f"^({LANGUAGE}|{BOTH})$",
        "default": BOTH,
        "description": "what `label` holds: a language that the model has labels in, or both Chinese and English",
    },
    "model": TEXT,
    "heat_map": {
        "type": "boolean",
        "default": False,
        "description": "draw where the network looks, on a single image; with `Accept: image/png` that alone comes",
    },
    "class": COUNT | {"description": "with heat_map: the index of the class to draw it for; without it the best one's"},
    "function_to_apply": {"enum": list(ACTIVATIONS)},
    CANDIDATE_LABELS: {
        "anyOf": [{"type": "array", "items": LABEL, "minItems": 1, "maxItems": MAX_CANDIDATE_LABELS}, TEXT],
        "description": "for a zero-shot model, what to tell apart; outside JSON with commas between, or as a JSON list",
    },
    HYPOTHESIS_TEMPLATE: LABEL | {"description": "the text that each of candidate_labels is put into, in place of {}"},
}


# A query or a form cannot hold a list: there it is one string.
IN_TEXT: dict[str, Json] = PARAMETERS | {
    CANDIDATE_LABELS: TEXT | {"description": PARAMETERS[CANDIDATE_LABELS]["description"]}
}


def object_of(**properties: Json) -> Json:
    """Return the schema of an object that has all `properties` and may have more."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def closed(required: list[str], **properties: Json) -> Json:
    """Return the schema of an object that must have the `required` and may have only the `properties`."""
    return object_of(**properties) | {"required": required, "additionalProperties": False}


def such_as(schema: Json, *examples: object) -> Json:
    return schema | {"examples": list(examples)}


def list_of(items: Json, most: int | None = None) -> Json:
    return {"type": "array", "items": items} | ({"maxItems": most} if most else {})


def ref(name: str) -> Json:
    """Return a reference to the schema `name` of `components`."""
    return {"$ref": f"#/components/schemas/{name}"}


def components() -> Json:
    """Return the schemas that the document defines by name."""
    error = {"code": ref("ErrorCode"), "message": TEXT}
    durations = {"type": "object", "additionalProperties": COUNT, "description": "requests by their most milliseconds"}
    report = object_of(
        state={"enum": [STARTING, READY, DRAINING, BROKEN]}, reason=NAMES, worker=TEXT, slot=TEXT, cpus=TEXT, gpu=NAMES,
        model=TEXT,
        version=NAMES, engine=NAMES, precision=NAMES, choice=NAMES, in_flight=COUNT, queued=COUNT,
        answered=object_of(images=COUNT, durations_ms=durations),
        model_info={"anyOf": [ref("Model"), {"type": "null"}]},
    )  # fmt: skip
    tensor = object_of(name=TEXT, datatype=TEXT, shape=list_of({"type": "integer", "minimum": -1}))
    return {
        "Prediction": _prediction(),
        "Attributes": _attributes(),
        **_answers(error),
        "Error": object_of(error=object_of(**error, request_id=TEXT)),
        "ProtocolError": object_of(error=TEXT, code=ref("ErrorCode"), request_id=TEXT),
        "TorchServeError": object_of(code=COUNT, type=TEXT, message=TEXT, error=object_of(**error, request_id=TEXT)),
        "ErrorCode": _error_code(),
        "Report": report,
        "Model": _model(),
        "Metadata": object_of(
            name=TEXT, versions=list_of(TEXT), platform=TEXT, inputs=list_of(tensor), outputs=list_of(tensor)
        ),
    }


def _error_code() -> Json:
    """Return the codes of the worker and the gateway, each with its status, meaning and remedy."""
    lines = [f"- `{code.value}` ({code.status}): {code.meaning} {code.remedy}" for code in ErrorCode]
    return {"enum": [code.value for code in ErrorCode], "description": "\n".join(lines)}


def _model() -> Json:
    texts = {"type": "object", "additionalProperties": TEXT, "description": "by language"}
    example = object_of(path=TEXT, label=TEXT, label_en=NAMES, label_zh=NAMES, index=COUNT, score=NUMBER)
    return object_of(
        name=TEXT,
        version=TEXT,
        description=texts,
        licence=NAMES,
        languages=list_of(TEXT),
        classes=COUNT,
        zero_shot=TRUTH,
        unsure_below={"type": ["number", "null"]},
        input=object_of(height=COUNT, width=COUNT, channels=COUNT, resize=RESIZE, tiled=TRUTH),
        engine=TEXT,
        precision=TEXT,
        examples=list_of(example),
    )


def _prediction() -> Json:
    named = object_of(
        label=such_as(TEXT, "虎斑猫 tabby"),
        label_en=such_as(NAMES, "tabby"),
        label_zh=such_as(NAMES, "虎斑猫"),
        index=such_as(COUNT, 281),
        score=such_as(NUMBER, 0.917),
    )
    return named | {
        "patternProperties": {f"^label_{LANGUAGE}$": NAMES},
        "description": "a class, with a `label_*` for every further language that the model has labels in",
    }


def _attributes() -> Json:
    one = ref("Prediction")
    return {
        "type": "object",
        "additionalProperties": {"oneOf": [one, list_of(one)]},
        "description": "of a model with groups of attributes: the best class of each, "
        "or where its classes do not exclude each other all that reach its threshold, best first",
    }


def _answers(error: Json) -> Json:
    """Return the schemas of an answer to one image and to several."""
    examples = {"model": "photos", "version": "1", "worker": "photos-0", "request_id": "5f0c1e7a9b3d4c62"}
    about = {name: such_as(TEXT, example) for name, example in examples.items()}
    spent = {"queue": 0.03, "decode": 2.1, "inference": 6.2, "total": 8.5}
    timing = such_as({"type": "object", "additionalProperties": NUMBER, "required": ["total"]}, spent)
    predictions, attributes = list_of(ref("Prediction")), {"attributes": ref("Attributes")}
    heat_map = {"type": "string", "pattern": "^data:image/png;base64,", "description": "a PNG, where it was asked for"}
    confident = {"type": ["boolean", "null"], "description": "null where the model states no `unsure_below`"}
    answer = object_of(**about, confident=confident, predictions=predictions, timing_ms=timing)
    answer["properties"] |= attributes | {"heat_map": heat_map, "heat_map_cells": HEAT_CELLS}
    good = object_of(confident=confident, predictions=predictions)
    good["properties"] |= attributes
    result = {
        "type": "object",
        "required": ["filename"],
        "oneOf": [good, object_of(error=object_of(**error))],
    }
    return {"Answer": answer, "Answers": object_of(**about, results=list_of(result), timing_ms=timing)}
