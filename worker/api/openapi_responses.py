"""The responses of the OpenAPI document: answers, errors by status, and what all share."""

from worker.api.schemas import BYTES, COUNT, TEXT, Json, ref
from worker.contract.error_codes import ErrorCode, Sender

ERROR, PROTOCOL_ERROR = ref("Error"), ref("ProtocolError")
OF_KEYS = (401, 403)  # statuses
NOT_TO_IMAGES = (ErrorCode.UNKNOWN_EXAMPLE, ErrorCode.UNKNOWN_ROUTE, ErrorCode.METHOD_NOT_ALLOWED)


def get(summary: str, schema: Json, **others: Json) -> Json:
    return {"summary": summary, "responses": {"200": content("The answer", schema), **others}}


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
