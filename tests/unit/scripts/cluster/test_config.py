import json
import re
import tomllib
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster, load_cluster, parse_cluster
from scripts.cluster.schema import SCHEMA, Access, Clients, Gateway, Metrics, Model, Server, Swarm, Tls
from worker.contract.limits import LIMITS
from worker.contract.settings import SETTINGS

COMMITTED = ROOT / "compose" / "cluster.toml"
DEEP = "[" * 3_000 + "]" * 3_000
MINIMAL = '[[models]]\nname = "photos"\nfolder = "worker/photos"\n'


def error_lines(text: str) -> list[str]:
    with pytest.raises(CommandError) as error:
        parse_cluster(text, "c.toml")
    return list(error.value.lines)


def server(lines: str) -> str:
    return f"{MINIMAL}[[servers]]\n{lines}\n"


def documented_keys() -> dict[str, set[str]]:
    """Return the keys of each table in the committed cluster.toml, including those in comments."""
    keys: dict[str, set[str]] = {"": set()}
    table = ""
    for line in COMMITTED.read_text().splitlines():
        if header := re.match(r"\[+(\w+)\]+", line):
            table = header[1]
            keys[table] = set()
        elif key := re.match(r"(?:# )?(\w+) = \S.* # \S", line):
            keys[table].add(key[1])
    return keys


def committed_with_defaults() -> str:
    return re.sub(r"^# (\w+ = )", r"\1", COMMITTED.read_text(), flags=re.MULTILINE)


def test_every_key_is_documented_and_every_documented_key_exists() -> None:
    assert documented_keys() == {table: set(keys) for table, keys in SCHEMA.items()}


def test_the_documentation_lists_tables_and_keys_in_schema_order() -> None:
    shown = tomllib.loads(committed_with_defaults())
    one_each = {"models": shown["models"][0], "servers": shown["servers"][0]}
    names = ("limits", "gateway", "access", "clients", "tls", "swarm", "metrics")
    tables = {"": shown, **{name: shown[name] for name in names}, **one_each}
    assert [name for name in shown if name in SCHEMA] == [name for name in SCHEMA if name]
    for table, keys in SCHEMA.items():
        assert [key for key in tables[table] if table or key not in SCHEMA] == list(keys)


def test_the_commented_values_are_the_defaults() -> None:
    assert parse_cluster(committed_with_defaults(), "compose/cluster.toml") == load_cluster(COMMITTED)


def test_optional_keys_are_commented_out_except_the_port() -> None:
    shown = tomllib.loads(COMMITTED.read_text())
    assert list(shown) == [
        "port",
        "limits",
        "gateway",
        "clients",
        "tls",
        "access",
        "swarm",
        "metrics",
        "models",
        "servers",
    ]
    assert (shown["limits"], shown["gateway"], shown["tls"], shown["servers"]) == ({}, {}, {}, [{}])
    assert list(shown["models"][0]) == ["name", "folder"]


def test_the_committed_file_serves_the_photos_model_on_this_machine() -> None:
    assert load_cluster(COMMITTED) == Cluster(
        source="compose/cluster.toml",
        port=8080,
        profile="throughput",
        settings={one.name: one.from_env({}) for one in SETTINGS.values() if one.table is not None},
        models=(Model("photos", ROOT / "worker" / "photos", 1),),
        servers=(Server("this", "127.0.0.1", None, None, None, None),),
        gateway=Gateway(),
        clients=Clients(),
        tls=Tls(False, ROOT / "compose/tls/server.crt", ROOT / "compose/tls/server.key", 0),
        access=Access(),
        swarm=Swarm(),
        metrics=Metrics(),
    )


def test_a_file_with_only_a_model_equals_the_committed_file() -> None:
    assert parse_cluster(MINIMAL, "compose/cluster.toml") == load_cluster(COMMITTED)


@pytest.mark.parametrize(
    "origins",
    [["*"], ["http://localhost:3000", "https://a.example.org"], ["http://[::1]:8080", "chrome-extension://abc"], []],
)
def test_origins_may_be_listed(origins: list[str]) -> None:
    text = f"{MINIMAL}\n[gateway]\ncors_origins = {json.dumps(origins)}\n"
    assert parse_cluster(text, "c.toml").gateway.cors_origins == tuple(origins)


@pytest.mark.parametrize(
    "origins",
    ["*", ["*", "http://a"], ["http://a/"], ["http://a/b"], ["a.example.org"], ["http://a", "http://a"], ["null"], [1],
     ["http://*.a"], ["http://a b"], ["HTTP://a"], ['http://a"'], ["http://a$b"], {}, 3],
)  # fmt: skip
def test_what_is_no_origin_is_refused(origins: object) -> None:
    value = "{}" if origins == {} else json.dumps(origins)
    assert error_lines(f"{MINIMAL}\n[gateway]\ncors_origins = {value}\n")[0].startswith(
        "c.toml: gateway/cors_origins: found "
    )


def test_access_is_read() -> None:
    text = f'{MINIMAL}\n[access]\nkeys = true\nadmin_from = ["127.0.0.0/8", "::1", "10.1.2.3"]\n'
    cluster = parse_cluster(text, "c.toml")
    assert (cluster.access.keys, cluster.access.admin_from) == (True, ("127.0.0.0/8", "::1/128", "10.1.2.3/32"))
    off = parse_cluster(MINIMAL, "c.toml")
    assert (off.access.keys, off.access.admin_from) == (False, ())


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('keys = "true"', 'keys: found "true", needed true or false'), ("keys = 1", "keys: found 1"),
        ('admin_from = "::1"', "admin_from: found"), ('admin_from = ["10.0.0.1/8"]', "admin_from: found"),
        ('admin_from = ["localhost"]', "admin_from: found"), ("admin_from = [1]", "admin_from: found [1]"),
        ("key = true", 'key: unknown key, did you mean "keys"?'),
    ],
)  # fmt: skip
def test_access_that_cannot_be_is_refused(line: str, found: str) -> None:
    assert error_lines(f"{MINIMAL}\n[access]\n{line}\n")[0].startswith(f"c.toml: access/{found}")


def test_every_value_can_be_set() -> None:
    text = """
        port = 80
        engine = "openvino"
        limits.queue = 8
        limits.max_images = 8
        models = [{name = "a", folder = "/srv/a"}, {name = "b.2_x-y", folder = "b", share = 3}]
        [[servers]]
        name = "gpu-1"
        address = "10.0.0.7"
        gpus = ["GPU-3f1c8a52-77d0", "MIG-GPU-1/2/0"]
        cpus = "0-2, 8"
        workers = 2
        cores_per_worker = 1
        [[servers]]
        name = "b"
        address = "b.example.org"
        gpus = "none"
        """
    cluster = parse_cluster(text, "c.toml")
    assert (cluster.port, cluster.engine, cluster.settings["queue"]) == (80, "openvino", 8)
    assert cluster.models == (Model("a", Path("/srv/a"), 1), Model("b.2_x-y", ROOT / "b", 3))
    assert cluster.servers == (
        Server("gpu-1", "10.0.0.7", ("GPU-3f1c8a52-77d0", "MIG-GPU-1/2/0"), (0, 1, 2, 8), 2, 1),
        Server("b", "b.example.org", (), None, None, None),
    )


def test_all_faults_are_reported_at_once() -> None:
    text = """
        prot = 8080
        engine = "tensorrt"
        [limits]
        queue = 0
        colour = 1
        [[models]]
        name = "Photos"
        [[servers]]
        gpus = 3
        worker = 2
        """
    assert error_lines(text) == [
        'c.toml: prot: unknown key, did you mean "port"?',
        f'c.toml: engine: found "tensorrt", needed {SETTINGS["engine"].needed}',
        f"c.toml: limits/colour: unknown key, the keys here are {', '.join(LIMITS)}",
        "c.toml: limits/queue: found 0, needed a whole number from 1 to 512 (images)",
        'c.toml: models/0/name: found "Photos", needed up to 63 lower-case letters, digits, ".", "_" or "-",'
        " the first a letter or digit",
        "c.toml: models/0/folder: found nothing, needed the path of a model folder",
        'c.toml: servers/0/worker: unknown key, did you mean "workers"?',
        'c.toml: servers/0/gpus: found 3, needed "auto", "none" or a list of GPU UUIDs',
    ]


@pytest.mark.parametrize("value", ["0", "65536", "true", "8080.0", '"8080"'])
def test_a_port_is_a_whole_number_from_1_to_65535(value: str) -> None:
    assert error_lines(f"port = {value}\n{MINIMAL}") == [f"c.toml: port: found {value}, needed a port from 1 to 65535"]


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_has_the_bounds_of_the_worker(name: str) -> None:
    limit = LIMITS[name]
    needed = f"needed a whole number from {limit.minimum} to {limit.maximum} ({limit.unit})"
    for value in (limit.minimum - 1, limit.maximum + 1):
        line = f"c.toml: limits/{name}: found {value}, {needed}"
        assert error_lines(f"{MINIMAL}[limits]\n{name} = {value}") == [line]


def test_a_request_cannot_hold_more_images_than_the_queue() -> None:
    assert error_lines(f"{MINIMAL}[limits]\nqueue = 31") == [
        "c.toml: limits/max_images: found 32, needed at most 31, the queue: lower max_images or raise queue"
    ]


@pytest.mark.parametrize("value", ["[]", '"all"', '["0"]', '["GPU-1", "GPU-1"]', '["GPU-1", 2]', "[[]]", "true"])
def test_gpus_are_unique_uuids(value: str) -> None:
    assert error_lines(server(f"gpus = {value}")) == [
        f'c.toml: servers/0/gpus: found {value}, needed "auto", "none" or a list of GPU UUIDs'
    ]


@pytest.mark.parametrize("value", ['""', '"3-1"', '"0,"', '"a"', '"0-9999"', '"-1"', "[0, 1]", "3"])
def test_cpus_are_a_cpu_list(value: str) -> None:
    assert error_lines(server(f"cpus = {value}")) == [
        f'c.toml: servers/0/cpus: found {value}, needed "auto", "none" or a list of CPUs such as "0-3,8"'
    ]


@pytest.mark.parametrize("key", ["workers", "cores_per_worker"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "false", '"none"'])
def test_numbers_of_workers_and_cores_are_positive(key: str, value: str) -> None:
    assert error_lines(server(f"{key} = {value}")) == [
        f'c.toml: servers/0/{key}: found {value}, needed "auto" or a whole number from 1'
    ]


@pytest.mark.parametrize("value", ['""', '"::1"', '"10.0.0.256"', '"10.1"', '"http://a"', '"a b"', '"-a"', "1"])
def test_an_address_is_a_host_name_or_an_ipv4_address(value: str) -> None:
    assert error_lines(server(f"address = {value}")) == [
        f"c.toml: servers/0/address: found {value}, needed a host name or an IPv4 address"
    ]


@pytest.mark.parametrize("value", ['"This"', '"1"', '"a=b"', '"a,b"', '""', '"a\\n"', f'"{"a" * 32}"'])
def test_a_server_name_can_be_part_of_a_slot_name(value: str) -> None:
    assert error_lines(server(f"name = {value}")) == [
        f'c.toml: servers/0/name: found {value}, needed up to 31 lower-case letters, digits or "-", the first a letter'
    ]


def test_a_share_is_a_whole_number_from_1() -> None:
    assert error_lines(MINIMAL + "share = 0") == ["c.toml: models/0/share: found 0, needed a whole number from 1"]


def test_names_and_addresses_are_unique() -> None:
    two_servers = "[[servers]]\n[[servers]]\n"
    assert error_lines(MINIMAL + MINIMAL + two_servers) == [
        'c.toml: models/1/name: found "photos", already used by models/0, needed a different name',
        'c.toml: servers/1/name: found "this", already used by servers/0, needed a different name',
        'c.toml: servers/1/address: found "127.0.0.1", already used by servers/0, needed a different address',
    ]


def test_cpus_none_contradicts_settings_of_cpu_workers() -> None:
    assert error_lines(server('cpus = "none"\ngpus = "none"\nworkers = 2\ncores_per_worker = 1')) == [
        'c.toml: servers/0/workers: found 2 together with cpus = "none", needed "auto": a CPU worker needs CPUs',
        'c.toml: servers/0/cores_per_worker: found 1 together with cpus = "none", needed "auto":'
        " a CPU worker needs CPUs",
        'c.toml: servers/0/gpus: found "none" together with cpus = "none", needed GPUs or CPUs to run workers on',
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "models: found [], needed one or more [[models]] tables"),
        ("models = []", "models: found [], needed one or more [[models]] tables"),
        ('[models]\nname = "a"', 'models: found {"name": "a"}, needed one or more [[models]] tables'),
        ("models = [1]", "models/0: found 1, needed a table"),
        (f"limits = 1\n{MINIMAL}", "limits: found 1, needed a table"),
        (f"servers = []\n{MINIMAL}", "servers: found [], needed one or more [[servers]] tables"),
        (f"port = 2020-01-01\n{MINIMAL}", 'port: found "2020-01-01", needed a port from 1 to 65535'),
        (
            f"port = {'[' * 3_000}{']' * 3_000}",
            "found values nested too deeply, needed at most a few levels: correct it there",
        ),
        (f"port = {1 << 63}", "found a whole number beyond 64 bits, needed a smaller one: correct it there"),
        (
            "port = 1 1",
            "not valid TOML: Expected newline or end of document after a statement (at line 1, column 10): "
            "correct it there",
        ),
    ],
)
def test_an_invalid_structure_is_rejected(text: str, line: str) -> None:
    assert error_lines(text) == [f"c.toml: {line}"]


def test_a_long_value_is_truncated() -> None:
    assert error_lines(f'port = "{"9" * 200}"\n{MINIMAL}') == [
        f'c.toml: port: found "{"9" * 76}..., needed a port from 1 to 65535'
    ]


def test_a_missing_file_and_a_binary_file_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    with pytest.raises(CommandError) as missing:
        load_cluster(path)
    path.write_bytes(b"port = 1 # \xff")
    with pytest.raises(CommandError) as binary:
        load_cluster(path)
    assert str(missing.value) == (f"{path}: No such file or directory: needed a file like the one in the repository")
    assert str(binary.value) == f"{path}: byte 11 is not UTF-8: save the file as UTF-8"


def test_errors_name_the_target_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "etc.toml").write_text("port = 0\n")
    (tmp_path / "link.toml").symlink_to("etc.toml")
    with pytest.raises(CommandError) as error:
        load_cluster(tmp_path / "link.toml")
    assert error.value.lines[0].startswith(f"{tmp_path}/etc.toml: port: found 0")


def test_every_server_has_a_gateway_unless_disabled_and_at_least_one_must() -> None:
    two = f'{server("gateway = false")}[[servers]]\nname = "b"\naddress = "10.0.0.2"\n'
    assert [one.gateway for one in parse_cluster(two, "c.toml").servers] == [False, True]
    assert error_lines(server("gateway = false")) == [
        "c.toml: servers: found gateway = false on every server, needed a gateway on at least one"
    ]
    assert error_lines(server("gateway = 1")) == ["c.toml: servers/0/gateway: found 1, needed true or false"]


@pytest.mark.parametrize(
    ("listen", "endpoint", "is_local"),
    [
        ([], "http://127.0.0.1:8080", False),
        (["::1", "127.0.0.1"], "http://127.0.0.1:8080", True),
        (["0.0.0.0"], "http://127.0.0.1:8080", False),
        (["10.0.0.5"], "http://10.0.0.5:8080", False),
        (["fd00:0::5"], "http://[fd00::5]:8080", False),
        (["::"], "http://[::1]:8080", False),
    ],
)
def test_the_gateway_listens_where_it_is_told(listen: list[str], endpoint: str, is_local: bool) -> None:
    cluster = parse_cluster(f"{MINIMAL}\n[gateway]\nlisten = {json.dumps(listen)}\n", "c.toml")
    assert (cluster.endpoint, cluster.is_local) == (endpoint, is_local)


@pytest.mark.parametrize(
    "line",
    ['listen = "127.0.0.1"', 'listen = ["a"]', 'listen = ["127.0.0.1:80"]', 'listen = ["fe80::1"]', "listen = [1]",
     'listen = ["::1", "0::1"]', 'listen = ["224.0.0.1"]', 'hosts = ["a b"]', 'hosts = ["https://a"]', 'hosts = ["A"]',
     'hosts = ["a:80"]', 'hosts = ["*"]', 'trusted_proxies = ["10.0.0.1/8"]', 'trusted_proxies = ["proxy"]',
     'trusted_proxies = ["10.0.0.0/33"]', "anonymise = 1"],
)  # fmt: skip
def test_what_the_gateway_cannot_do_is_refused(line: str) -> None:
    assert error_lines(f"{MINIMAL}\n[gateway]\n{line}\n")[0].startswith(f"c.toml: gateway/{line.split()[0]}: found ")


def test_what_prometheus_needs_is_read() -> None:
    cluster = parse_cluster(f'{MINIMAL}\n[metrics]\nport = 9145\nlisten = ["::1"]\ntarget_ms = 200\n', "c.toml")
    assert cluster.metrics == Metrics(9145, ("::1",), 200)
    assert parse_cluster(MINIMAL, "c.toml").metrics == Metrics()


def test_what_one_client_may_do_and_the_certificate_are_read() -> None:
    text = f"{MINIMAL}\n[gateway]\nbodies_mb = 200\n[clients]\nconnections = 9\nbodies_mb = 50\n"
    cluster = parse_cluster(f'{text}[tls]\nenabled = true\nkey = "/k"\nhsts_days = 3\n', "/etc/wanwu/cluster.toml")
    assert (cluster.gateway.bodies_mb, cluster.clients) == (200, Clients(9, 0, 100, 50))
    assert cluster.tls == Tls(True, Path("/etc/wanwu/tls/server.crt"), Path("/k"), 3)
    assert cluster.url("[::1]") == "https://[::1]:8080"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[gateway]\nbodies_mb = 127", "gateway/bodies_mb: found 127, needed at least 128, 4 times max_body_mb"),
        ("[clients]\nconnections = -1", "clients/connections: found -1, needed a whole number from 0 to 65535"),
        ("[clients]\nrate = 1", "clients/rate: unknown key, "),
        ('[tls]\nenabled = "yes"', 'tls/enabled: found "yes", needed true or false'),
        ("[tls]\nhsts_days = 9999", "tls/hsts_days: found 9999, needed a whole number of days from 0 to 730"),
        ("[tls]\ncert = 1", "tls/cert: unknown key, "),
        ("[metrics]\nport = 65536", "metrics/port: found 65536, needed a port from 1 to 65535, or 0"),
        ("[metrics]\nport = 8080", "metrics/port: found 8080, the gateway's port, needed another: "),
        ('[metrics]\nlisten = ["a"]', 'metrics/listen: found ["a"], needed a list of IPv4 and IPv6 addresses'),
        ("[metrics]\ntarget_ms = 0", "metrics/target_ms: found 0, needed a whole number from 1 to 60000"),
        ("[metrics]\ntarget = 1", "metrics/target: unknown key, "),
    ],
)
def test_wrong_limits_of_clients_and_certificates_are_refused(table: str, said: str) -> None:
    assert error_lines(f"{MINIMAL}\n{table}\n")[0].startswith(f"c.toml: {said}")
