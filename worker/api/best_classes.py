"""The best classes of one image, as the routes of other servers' protocols need them."""

from collections.abc import Mapping

from flask import g, request

from worker.api.candidates import take_candidates
from worker.api.parameters import HUGGING_FACE, Parameters, parse_parameters
from worker.api.service import Loaded, Service
from worker.api.uploads import Upload, query
from worker.pipeline.admission import Deadline
from worker.pipeline.classifier import Classification


def model_and_parameters(
    service: Service, model: Loaded, in_body: Mapping[str, object]
) -> tuple[Loaded, Parameters, Deadline]:
    """Return `model`, with the candidate labels of the request if it has any, its other parameters and its deadline.

    The parameters are those of the query and `in_body`. Raise ServiceError as their parsers do.
    """
    candidates, parts = take_candidates(query(request.environ), in_body)
    deadline: Deadline = g.context.deadline
    model = service.with_candidates(model, candidates, deadline)
    return model, parse_parameters(*parts, known=HUGGING_FACE, output=model.folder.output), deadline


def best_classes(model: Loaded, result: Classification | Exception, parameters: Parameters) -> list[dict[str, object]]:
    """Return the rows of the best classes, best first; raise the error that came instead of a result."""
    if isinstance(result, Exception):
        raise result
    output = model.folder.output
    scores = output.scores(result.logits, parameters.function_to_apply)
    return output.predictions(scores, parameters.top_k, parameters.threshold, parameters.labels)


def classify_one(service: Service, model: Loaded, upload: Upload) -> tuple[list[dict[str, object]], Deadline]:
    """Return the best classes of the only image of `upload`, and the deadline of its request."""
    model, parameters, deadline = model_and_parameters(service, model, upload.parameters)
    (result,) = service.classify(model, [upload.images[0][1]], deadline)
    return best_classes(model, result, parameters), deadline
