"""A client for Wanwu, which serves image classifiers: `Client("http://127.0.0.1:8080").classify("photo.jpg")`."""

from .answers import Answer, Model, Prediction
from .client import Client, Parameters
from .errors import (
    DeadlineError,
    ImageError,
    InternalError,
    KeyRefusedError,
    NoAnswerError,
    NotReadyError,
    QueueFullError,
    RequestError,
    ServiceError,
    UnexpectedAnswerError,
    UnknownModelError,
    UnreachableError,
    UnreadableError,
    WanwuError,
)
from .many import Outcome
from .transport import Response, Transport
from .uploads import Image

__all__ = [
    "Answer",
    "Client",
    "DeadlineError",
    "Image",
    "ImageError",
    "InternalError",
    "KeyRefusedError",
    "Model",
    "NoAnswerError",
    "NotReadyError",
    "Outcome",
    "Parameters",
    "Prediction",
    "QueueFullError",
    "RequestError",
    "Response",
    "ServiceError",
    "Transport",
    "UnexpectedAnswerError",
    "UnknownModelError",
    "UnreachableError",
    "UnreadableError",
    "WanwuError",
]
