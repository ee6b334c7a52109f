"""Who may ask: real Nginx and gate, keys of every role, and what each of them may ask for."""

import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.cluster.keys import Key, new_key
from tests.local.gateway_harness import Gateway, Reply, ask_raw
from tests.wait import until

POOLS = {"a": ["a-0"], "b": ["b-0"], "b.js": ["b.js-0"]}
ORIGIN = "https://intra.example.org"
IMAGE = {"Content-Type": "image/png"}


@dataclass(frozen=True)
class Keys:
    """The text of a key of each kind; `again` is a second one of `client`'s name, `revoked` is unknown."""

    client: str
    again: str
    admin: str
    only_b: str
    gone: str
    revoked: str
    listed: tuple[Key, ...]


def made() -> Keys:
    wanted = [("line-3", "client", ()), ("line-3", "client", ()), ("boss", "admin", ()), ("b", "client", ("b", "b.js"))]
    made = [new_key(*one) for one in [*wanted, ("gone", "client", ("elsewhere",)), ("old", "client", ())]]
    texts, listed = [text for text, _ in made], tuple(key for _, key in made[:-1])
    return Keys(texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], listed)


KEYS = made()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home, options = tmp_path_factory.mktemp("access"), {"keys": True, "cors_origins": [ORIGIN]}
    with Gateway(home, POOLS, options=options, keys=KEYS.listed, key=KEYS.admin) as gateway:
        for path in ("index.html", "app.js", "api/api.css"):
            (home / "web" / path).parent.mkdir(exist_ok=True)
            (home / "web" / path).write_text("x")
        yield gateway.start()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def changed(key: str, place: int) -> str:
    return key[:place] + ("A" if key[place] != "A" else "B") + key[place + 1 :]


# --- Whether a key is one ------------------------------------------------------------------------------------------

GOOD = {
    "bearer": bearer(KEYS.client),
    "x-api-key": {"X-API-Key": KEYS.client},
    "lower case": {"authorization": f"bearer {KEYS.client}"},
    "spaces": {"Authorization": f"Bearer   {KEYS.client}  "},
    "the same in both": {**bearer(KEYS.client), "X-API-Key": KEYS.client},
    "another scheme beside it": {"Authorization": "Basic dXNlcjp3b3Jk", "X-API-Key": KEYS.client},
    "the second of a name": bearer(KEYS.again),
    "an empty one beside it": {**bearer(KEYS.client), "X-API-Key": ""},
}
BAD = {
    "none": {},
    "empty": {"Authorization": ""},
    "no key": {"Authorization": "Bearer"},
    "no key but spaces": {"Authorization": "Bearer   "},
    "an empty x-api-key": {"X-API-Key": ""},
    "revoked": bearer(KEYS.revoked),
    "another secret": bearer(changed(KEYS.client, -2)),
    "another id": bearer(changed(KEYS.client, 8).lower()),
    "the secret of another": bearer(KEYS.client[:22] + KEYS.admin[22:]),
    "upper case": bearer(KEYS.client.upper()),
    "lower case": bearer(KEYS.client.lower()),
    "cut short": bearer(KEYS.client[:-1]),
    "too long": bearer(KEYS.client + "A"),
    "far too long": bearer("A" * 7000),
    "overlong": {"X-API-Key": "wanwu_" + "0" * 7000},
    "the hash": bearer(f"wanwu_{KEYS.listed[0].id}_{KEYS.listed[0].hash}"),
    "the id": bearer(KEYS.listed[0].id),
    "a foreign token": bearer("hf_abcdefghijklmnop"),
    "two in a header": bearer(f"{KEYS.client} {KEYS.admin}"),
    "two with a comma": {"X-API-Key": f"{KEYS.client}, {KEYS.client}"},
    "two headers, two keys": {**bearer(KEYS.client), "X-API-Key": KEYS.admin},
    "a good and a bad one": {**bearer(KEYS.client), "X-API-Key": "x"},
    "a bad and a good one": {**bearer("x"), "X-API-Key": KEYS.client},
    "basic": {"Authorization": "Basic dXNlcjp3b3Jk"},
    "basic with the key": {"Authorization": f"Basic {KEYS.client}"},
    "no scheme": {"Authorization": KEYS.client},
    "a line of Nginx": bearer('"; } server { '),
    "a variable of Nginx": bearer("$key_hash"),
    "not ASCII": {"X-API-Key": "wanwu_é"},
    "a tab": {"Authorization": f"Bearer\t{KEYS.client}"},
}


@pytest.mark.parametrize("case", GOOD)
def test_a_key_is_known_in_either_header(gateway: Gateway, case: str) -> None:
    assert gateway.ask("POST", "/predict", b"image", GOOD[case]).status == 200


def nameless(reply: Reply) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return all of an answer but what is new in each: its date and its request id."""
    headers = [(name, value) for name, value in reply.headers if name not in ("Date", "X-Request-ID")]
    (request_id,) = reply.all("X-Request-ID")
    return reply.status, reply.body.replace(request_id.encode(), b""), headers


@pytest.mark.parametrize("case", BAD)
def test_every_other_request_gets_the_same_401(gateway: Gateway, case: str) -> None:
    expected, found = gateway.ask("POST", "/predict", b"image"), gateway.ask("POST", "/predict", b"image", BAD[case])
    assert (found.status, found.header("WWW-Authenticate"), found.error["code"]) == (401, "Bearer", "unauthorized")
    assert nameless(found) == nameless(expected)
    assert gateway.ask("GET", "/status", headers=BAD[case]).status == 401


def test_two_lines_of_a_header_are_no_way_in(gateway: Gateway) -> None:
    lines = [f"Authorization: Bearer {key}\r\n" for key in (KEYS.revoked, KEYS.client)]
    head = "GET /models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    assert ask_raw(gateway.port, f"{head}{lines[0]}{lines[1]}\r\n".encode()).status == 400
    assert ask_raw(gateway.port, f"{head}{lines[1]}{lines[0]}\r\n".encode()).status == 400


@pytest.mark.parametrize("path", ["/v2/models/a/infer", "/v1/models/a:predict", "/predictions/a", "/models/a"])
def test_a_refusal_has_the_form_of_its_protocol(gateway: Gateway, path: str) -> None:
    missing, limited = gateway.ask("POST", path, b"{}"), gateway.ask("POST", path, b"{}", bearer(KEYS.only_b))
    for reply, status, code in ((missing, 401, "unauthorized"), (limited, 403, "forbidden")):
        assert reply.status == status
        body = reply.json
        if path.startswith("/v"):
            assert (body["code"], type(body["error"])) == (code, str)
        else:
            assert body["error"]["code"] == code
        if path.startswith("/predictions"):
            assert (body["code"], body["type"]) == (status, "InvalidKeyException")


# --- Which routes ask for what -------------------------------------------------------------------------------------

CLIENT_ROUTES = [
    ("POST", "/predict"), ("POST", "/predict?model=a"), ("GET", "/openapi.json"), ("GET", "/models"),
    ("GET", "/models/a"), ("POST", "/models/a"), ("GET", "/models/a/examples/0"), ("GET", "/v2"),
    ("POST", "/v2/models/a/infer"), ("GET", "/v2/models/stats"), ("GET", "/v1/models"), ("GET", "/v1/models/a"),
    ("POST", "/v1/models/a:predict"), ("POST", "/predictions/a"), ("POST", "/v2/repository/index"),
    ("POST", "/models/b.js"), ("POST", "/predictions/b.js"), ("POST", "/v1/models/b.js:predict"),
]  # fmt: skip
OPEN_ROUTES = ["/", "/app.js", "/api/api.css", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/ping"]


@pytest.mark.parametrize(("method", "path"), CLIENT_ROUTES)
def test_classification_and_models_are_for_every_key(gateway: Gateway, method: str, path: str) -> None:
    statuses = [gateway.ask(method, path, b"image", headers).status for headers in ({}, bearer(KEYS.revoked))]
    assert statuses == [401, 401]
    statuses = [gateway.ask(method, path, b"image", bearer(key)).status for key in (KEYS.client, KEYS.admin)]
    assert statuses == [200, 200]


@pytest.mark.parametrize("path", ["/status", "/metrics"])
def test_the_status_and_the_metrics_are_for_admins(gateway: Gateway, path: str) -> None:
    found = [gateway.ask("GET", path, headers=bearer(key)).status for key in ("", KEYS.client, KEYS.only_b, KEYS.admin)]
    assert found == [401, 403, 403, 200]


@pytest.mark.parametrize("path", ["//metrics", "/%6detrics", "/models/../metrics", "//status", "/%73tatus"])
def test_another_spelling_of_an_address_is_the_same_address(gateway: Gateway, path: str) -> None:
    assert gateway.ask("GET", path, headers=bearer(KEYS.client)).status == 403
    assert gateway.ask("GET", path, headers=bearer(KEYS.admin)).status == 200


def test_an_open_route_names_no_model_to_whom_it_does_not_know(gateway: Gateway) -> None:
    def found(key: str) -> str:
        reply = gateway.ask("GET", "/readyz?model=other", headers=bearer(key))
        assert reply.status == 404
        return str(reply.error["message"])

    assert "choose from a, b, b.js" in found(KEYS.client)
    for key in ("", KEYS.revoked, KEYS.only_b):
        assert found(key).endswith("that is served here: GET /models lists those that a key is for")


def test_a_key_in_the_address_is_not_logged(gateway: Gateway) -> None:
    for number, path in enumerate(
        (f"/status?key={KEYS.client}", f"/x/{KEYS.admin.replace('_', '%5F')}", "/status?a=b")
    ):
        gateway.ask("GET", path, headers={"X-Request-ID": f"in-the-address-{number}"})
    lines = [gateway.logged(f"in-the-address-{number}") for number in range(3)]
    assert [line["uri"].endswith("[removed]") for line in lines] == [True, True, False]
    assert not [line for line in lines if KEYS.client[24:] in str(line) or KEYS.admin[24:] in str(line)]


@pytest.mark.parametrize("path", OPEN_ROUTES)
def test_the_page_and_probes_are_open_and_say_no_details(gateway: Gateway, path: str) -> None:
    for headers in ({}, bearer("wrong"), bearer(KEYS.client)):
        reply = gateway.ask("GET", path, headers=headers)
        assert reply.status == 200
        assert len(reply.body) < 30 or set(reply.json) == {"ready", "as_of"}


def test_every_file_of_the_real_page_is_open() -> None:
    (pattern,) = re.findall(r'"~(\^\S+html\S+)"  open;', (ROOT / "nginx/access.conf").read_text())
    files = [path.relative_to(ROOT / "nginx/web") for path in (ROOT / "nginx/web").rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [str(file) for file in files if not re.search(pattern.replace(r"\z", r"\Z"), f"/{file}")] == []


@pytest.mark.parametrize(
    "path", ["/nope", "/predict/", "/models/", "/STATUS", "/v3/models", "//status", "/x/../status"]
)
def test_without_a_key_nobody_learns_what_is_there(gateway: Gateway, path: str) -> None:
    reply = gateway.ask("GET", path)
    assert (reply.status, reply.error["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("path", ["/_error", "/_no_answer", "/_stale", "/_plain", "/nothing.js"])
def test_internal_addresses_lead_nowhere(gateway: Gateway, path: str) -> None:
    reply = gateway.ask("GET", path)
    assert (reply.status, reply.error["code"]) == (404, "unknown_route")


def test_a_preflight_needs_no_key_and_a_refusal_may_be_read_by_the_page(gateway: Gateway) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization,x-api-key"
    reply = gateway.ask("OPTIONS", "/predict", headers=asked)
    assert (reply.status, reply.header("Access-Control-Allow-Headers")) == (204, "authorization,x-api-key")
    refused = gateway.ask("POST", "/predict", b"image", {"Origin": ORIGIN})
    assert (refused.status, refused.header("Access-Control-Allow-Origin")) == (401, ORIGIN)
    # An origin that is not listed has no preflight: like any other request, it needs a key.
    assert gateway.ask("OPTIONS", "/predict", headers=asked | {"Origin": "https://evil.example"}).status == 401


# --- Keys of some models -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/predict?model=a"), ("POST", "/models/a"), ("GET", "/models/a"), ("GET", "/v2/models/a"),
        ("POST", "/v2/models/a/infer"), ("POST", "/v1/models/a:predict"), ("POST", "/predictions/a"),
        ("GET", "/models/a/examples/0"), ("POST", "/predict?model=a&model=b"), ("POST", "/predict?model=%62"),
        ("POST", "/models/unknown"), ("POST", "/models/b%2F..%2Fa"), ("POST", "/models/b/../a"),
        ("GET", "/v2/models/A"),
    ],
)  # fmt: skip
def test_a_key_of_some_models_gets_no_other(gateway: Gateway, method: str, path: str) -> None:
    before = len(gateway.workers["a-0"].met())
    reply = gateway.ask(method, path, b"image", bearer(KEYS.only_b))
    assert reply.status == 403
    assert "unknown" not in reply.body.decode()
    assert len(gateway.workers["a-0"].met()) == before


@pytest.mark.parametrize("path", ["/predict?model=b", "/models/b", "/v2/models/b/infer", "/v1/models/b:predict"])
def test_a_key_of_some_models_gets_these(gateway: Gateway, path: str) -> None:
    reply = gateway.ask("POST", path, b"image", bearer(KEYS.only_b))
    assert (reply.status, reply.json["model"]) == (200, "b")


@pytest.mark.parametrize("path", ["/predict", "/openapi.json", "/v2", "/predict?top_k=1", "/predict?model="])
def test_who_names_no_model_gets_the_first_that_the_key_is_for(gateway: Gateway, path: str) -> None:
    for key, model in ((KEYS.only_b, "b"), (KEYS.client, "a")):
        assert gateway.ask("POST", path, b"image", bearer(key)).json["model"] == model
    assert gateway.ask("POST", path, b"image", bearer(KEYS.gone)).status == 403


def test_a_model_that_the_body_names_is_judged_as_one_of_the_address(gateway: Gateway) -> None:
    for worker, named in (("a-0", "b"), ("b-0", "a")):
        gateway.workers[worker].set(answer="elsewhere", body_model=named)
    try:
        replies = {key: gateway.ask("POST", "/predict", b"{}", bearer(key)) for key in (KEYS.only_b, KEYS.client)}
    finally:
        for worker in ("a-0", "b-0"):
            gateway.workers[worker].set(answer="ok", body_model=None)
    # A client's goes from a to b, whose fake would send it on; that of the limited key stays at b, which names a.
    assert [reply.status for reply in replies.values()] == [403, 404]
    assert replies[KEYS.only_b].error["code"] == "forbidden"
    gateway.workers["a-0"].set(answer="elsewhere", body_model="b")
    reply = gateway.ask("POST", "/predict", b"{}", bearer(KEYS.client))
    gateway.workers["a-0"].set(answer="ok", body_model=None)
    assert (reply.status, reply.json["model"]) == (200, "b")


def test_a_key_of_some_models_sees_only_these(gateway: Gateway) -> None:
    seen = {}
    for name, key in (("client", KEYS.client), ("only_b", KEYS.only_b), ("gone", KEYS.gone)):
        models = [row["name"] for row in gateway.ask("GET", "/models", headers=bearer(key)).json["models"]]
        assert gateway.ask("GET", "/v1/models", headers=bearer(key)).json == {"models": models}
        index = gateway.ask("POST", "/v2/repository/index", b"{}", bearer(key)).json
        assert [row["name"] for row in index] == models
        seen[name] = models
    assert seen == {"client": ["a", "b", "b.js"], "only_b": ["b", "b.js"], "gone": []}
    (row, _) = gateway.ask("GET", "/models", headers=bearer(KEYS.only_b)).json["models"]
    assert (row["ready"], row["workers"], row["workers_in"]) == (True, 1, 1)


# --- Where a key goes ----------------------------------------------------------------------------------------------


def test_no_worker_sees_a_key_and_no_log_does(gateway: Gateway) -> None:
    asked: list[dict[str, str]] = [bearer(KEYS.client), {"X-API-Key": KEYS.client}, bearer(KEYS.client[:-1]), {}]
    for number, headers in enumerate(asked):
        gateway.ask("POST", "/predict", b"image", headers | {"X-Request-ID": f"who-asked-{number}"})
    met = [dict(request["headers"]) for request in gateway.workers["a-0"].met()]
    assert not any({"authorization", "x-api-key"} & headers.keys() for headers in met)
    keys = [gateway.logged(f"who-asked-{number}")["key"] for number in range(len(asked))]
    assert keys == ["line-3", "line-3", "", ""]
    secrets = [key.split("_", 2)[2][:20] for key in (KEYS.client, KEYS.admin, KEYS.only_b)]
    files = [path for path in gateway.home.rglob("*") if path.is_file()]
    assert [path for path in files for secret in secrets if secret.encode() in path.read_bytes()] == []


# --- Changes -------------------------------------------------------------------------------------------------------


def test_keys_come_and_go_while_requests_run_and_the_gate_is_not_needed(tmp_path: Path) -> None:
    kept, admin = new_key("kept", "client", ()), new_key("boss", "admin", ())
    old, new = new_key("line-3", "client", ()), new_key("line-3", "client", ("b",))
    with Gateway(
        tmp_path, {"a": ["a-0"], "b": ["b-0"]}, options={"keys": True}, keys=[kept[1], admin[1], old[1]], key=admin[0]
    ) as own:
        own.start()
        statuses: list[int] = []
        done = threading.Event()

        def load() -> None:
            while not done.is_set():
                statuses.append(own.ask("POST", "/predict", b"image", bearer(kept[0])).status)

        def status(key: str) -> int:
            return own.ask("GET", "/models", headers=bearer(key)).status

        thread = threading.Thread(target=load)
        thread.start()
        try:
            own.write_keys([kept[1], admin[1], old[1], new[1]])  # both of one name, as long as clients change over
            until("the new key is known", lambda: status(new[0]) == 200)
            assert status(old[0]) == 200
            own.write_keys([kept[1], admin[1], new[1]])
            until("the old key is not", lambda: status(old[0]) == 401)
            known = sorted(key.id for _, key in (kept, admin, new))
            headers = bearer(admin[0])
            until("status", lambda: own.ask("GET", "/status", headers=headers).json.get("keys") == known)
            own.write_members_text("{")  # what cannot be read changes nothing
            (own.home / "rendered/keys.json").write_text('{"keys": [{"id": "x"}]}')
            until("refusal", lambda: own.gate_log("members_refused"))
            assert [status(key) for key in (kept[0], new[0], old[0])] == [200, 200, 401]
        finally:
            done.set()
            thread.join()
        assert set(statuses) == {200}
        assert own.gate
        own.gate.send_signal(signal.SIGKILL)
        own.gate.wait()
        assert [status(key) for key in (kept[0], new[0], old[0])] == [200, 200, 401]


def test_a_kept_connection_does_not_keep_a_revoked_key(tmp_path: Path) -> None:
    admin, old = new_key("boss", "admin", ()), new_key("old", "client", ())
    with Gateway(tmp_path, {"a": ["a-0"]}, options={"keys": True}, keys=[admin[1], old[1]], key=admin[0]) as own:
        own.start()
        request = f"GET /models HTTP/1.1\r\nHost: x\r\nX-API-Key: {old[0]}\r\n\r\n".encode()

        def answer(connection: socket.socket) -> bytes:
            connection.sendall(request)
            return connection.recv(100)

        def is_refused() -> bool:
            try:
                return b" 200 " not in answer(connection)
            except OSError:
                return True

        with socket.create_connection(("127.0.0.1", own.port), 10) as connection:
            assert b" 200 " in answer(connection)
            own.write_keys([admin[1]])
            until("refusal", is_refused)


@pytest.mark.parametrize(("networks", "status"), [(["127.0.0.0/8"], 200), (["10.0.0.0/8", "::1"], 401)])
def test_admins_may_ask_from_an_address_instead(tmp_path: Path, networks: list[str], status: int) -> None:
    admin, client = new_key("boss", "admin", ()), new_key("client", "client", ())
    options = {"keys": True, "admin_from": networks}
    with Gateway(tmp_path, {"a": ["a-0"]}, options=options, keys=[admin[1], client[1]], key=admin[0]) as own:
        own.start()
        for path in ("/status", "/metrics"):
            assert own.ask("GET", path).status == status
            assert own.ask("GET", path, headers=bearer(client[0])).status == (200 if status == 200 else 403)
        assert own.ask("POST", "/predict", b"image").status == 401


def test_without_a_list_of_keys_nobody_gets_in(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"a": ["a-0"]}, options={"keys": True}) as own:
        own.init()
        own.start_nginx()
        assert own.ask("GET", "/models", headers=bearer(KEYS.client)).status == 401
        assert own.ask("GET", "/livez").status == 200


def test_without_keys_all_is_as_before_and_a_key_does_no_harm(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"a": ["a-0"]}, keys=KEYS.listed) as own:
        own.start()
        for headers in ({}, bearer(KEYS.client), bearer("x"), {"X-API-Key": ""}):
            for method, path in (("POST", "/predict"), ("GET", "/status"), ("GET", "/metrics"), ("GET", "/models")):
                assert own.ask(method, path, b"image", headers).status == 200
        assert "keys" not in own.ask("GET", "/status").json
        assert json.loads((own.home / "rendered/names.json").read_text()) == {"models": ["a"]}
