"""What the service answers, as typed objects; `raw` holds the JSON, with all that a newer service may add."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import UnexpectedAnswerError

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Prediction:
    """A class and its score. `label` is in the language asked for; the others are None where the model has none."""

    label: str
    score: float
    index: int
    label_en: str | None
    label_zh: str | None


@dataclass(frozen=True)
class Answer:
    """The classes of one image, best first.

    `confident` is None if the model does not say from which score it is. `attributes` holds the classes of each group
    of attributes, of a model that has some. `heat_map` is a PNG, if it was asked for. `total_ms` is the service's time.
    """

    predictions: tuple[Prediction, ...]
    confident: bool | None
    model: str
    version: str
    worker: str
    request_id: str
    total_ms: float
    attributes: Mapping[str, tuple[Prediction, ...]]
    heat_map: bytes | None
    raw: Json

    @property
    def best(self) -> Prediction | None:
        """Return the first prediction; None if no class reached the threshold."""
        return self.predictions[0] if self.predictions else None


@dataclass(frozen=True)
class Model:
    """A served model: its name, whether a worker is ready, and what its folder says (None until one was)."""

    name: str
    ready: bool
    version: str | None
    classes: int | None
    languages: tuple[str, ...]
    raw: Json


def read_answer(document: object) -> Answer:
    """Return the answer to one image; raise UnexpectedAnswerError if `document` is none."""
    try:
        row: Json = document  # type: ignore[assignment]
        heat_map = row.get("heat_map")
        return Answer(
            predictions=tuple(map(_prediction, row["predictions"])),
            confident=row["confident"],
            model=row["model"],
            version=row["version"],
            worker=row["worker"],
            request_id=row["request_id"],
            total_ms=float(row["timing_ms"]["total"]),
            attributes={name: _group(found) for name, found in row.get("attributes", {}).items()},
            heat_map=base64.b64decode(heat_map.partition(",")[2]) if heat_map else None,
            raw=row,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnexpectedAnswerError(
            "found JSON that is no answer of Wanwu, needed predictions: check the URL"
        ) from error


def read_models(document: object) -> list[Model]:
    """Return the models of `GET /models`; raise UnexpectedAnswerError if `document` has none."""
    try:
        rows: list[Json] = document["models"]  # type: ignore[index]
        return [
            Model(
                name=row["name"],
                ready=row["ready"],
                version=row.get("version"),
                classes=row.get("classes"),
                languages=tuple(row.get("languages", ())),
                raw=row,
            )
            for row in rows
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise UnexpectedAnswerError("found JSON without Wanwu's models, needed them: check the URL") from error


def _prediction(row: Json) -> Prediction:
    return Prediction(row["label"], float(row["score"]), row["index"], row.get("label_en"), row.get("label_zh"))


def _group(found: Json | list[Json]) -> tuple[Prediction, ...]:
    return tuple(map(_prediction, found if isinstance(found, list) else [found]))
