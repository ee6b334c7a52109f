"""What the routes' descriptions in the OpenAPI document share: parameters, bodies, answers, errors by status."""

from worker.api.schemas import BYTES, COUNT, IN_BASE64, IN_TEXT, PARAMETERS, TEXT, Json, closed, list_of, ref
from worker.contract.error_codes import ErrorCode, Sender
from worker.decode import MIME_TYPES

NAME: Json = {"name": "name", "in": "path", "required": True, "schema": TEXT}
VERSIONED: Json = {"name": "version", "in": "path", "required": True, "schema": TEXT}
IMAGES: Json = dict.fromkeys(MIME_TYPES.values(), BYTES)  # an image as a body, by media type
ERROR, PROTOCOL_ERROR = ref("Error"), ref("ProtocolError")
OF_KEYS = (401, 403)  # statuses
NOT_TO_IMAGES = (ErrorCode.UNKNOWN_EXAMPLE, ErrorCode.UNKNOWN_ROUTE, ErrorCode.METHOD_NOT_ALLOWED)


def get(summary: str, schema: Json, **others: Json) -> Json:
    return {"summary": summary, "responses": {"200": content("The answer", schema), **others}}


def post(summary: str, parameters: list[Json], bodies: Json, answers: Json) -> Json:
    """Describe a route that takes a body of one of `bodies`: schemas by media type."""
    body = {"required": True, "content": of_kinds(bodies)}
    return {"summary": summary, "parameters": parameters, "requestBody": body, "responses": answers}


def of_kinds(schemas: Json) -> Json:
    return {kind: {"schema": schema} for kind, schema in schemas.items()}


def in_query(*names: str) -> list[Json]:
    """Return the description of the parameters `names` in the query."""
    return [{"name": name, "in": "query", "schema": IN_TEXT[name]} for name in names]


def in_json(*names: str) -> Json:
    """Return the schema of an object in which JSON may have the parameters `names`."""
    own = {name: PARAMETERS[name] for name in names}
    return {"type": "object", "properties": own, "additionalProperties": False}


def inputs(most: int, *names: str, **more: Json) -> Json:
    """Return the schema of JSON with up to `most` images in base64, the parameters `names` and `more`."""
    images = {"anyOf": [IN_BASE64, list_of(IN_BASE64, most) | {"minItems": 1}]}
    return closed(required=["inputs"], inputs=images, parameters=in_json(*names), **more)


def probe(summary: str, schema: Json) -> Json:
    return get(summary, schema, **{"503": content("No", schema)})


def about(summary: str, schema: Json, *named: Json, not_yet: Json | None = None, error: Json = PROTOCOL_ERROR) -> Json:
    # A known model that is not ready answers in its own form, without the Retry-After header of an error.
    unready = refusal(error, ErrorCode.NOT_READY)
    if not_yet:
        unready = content(ErrorCode.NOT_READY.value, {"anyOf": [error, not_yet]})
    unknown = refusal(error, ErrorCode.UNKNOWN_MODEL)
    return get(summary, schema, **{"404": unknown, "503": unready}) | {"parameters": list(named)}


def responses(schema: Json, *binary: str, error: Json = ERROR) -> Json:
    answer = content("The answer", schema)
    answer["content"] |= {kind: {"schema": BYTES} for kind in binary}
    return {"200": answer, **_refusals(error)}


def _refusals(error: Json) -> Json:
    """Return the errors that may be answered to an image, by status: a worker's, and the gateway's of keys."""
    by_status: dict[str, list[ErrorCode]] = {}
    for code in ErrorCode:
        if (code.sender is not Sender.GATEWAY or code.status in OF_KEYS) and code not in NOT_TO_IMAGES:
            by_status.setdefault(str(code.status), []).append(code)
    return {status: refusal(error, *codes) for status, codes in by_status.items()}


def refusal(error: Json, *codes: ErrorCode) -> Json:
    """Return the response of one status, which all `codes` share."""
    refusal = content(", ".join(codes), error)
    if codes[0].retry_after_s is not None:
        refusal["headers"] |= {"Retry-After": {"required": True, "schema": COUNT}}
    return refusal


def content(description: str, schema: Json) -> Json:
    headers = {"X-Request-ID": {"required": True, "schema": TEXT}}
    return {"description": description, "headers": headers, "content": {"application/json": {"schema": schema}}}
