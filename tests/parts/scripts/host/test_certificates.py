"""Certificates that can and cannot be served, as openssl makes them."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nginx.gate.observed import certificate_end
from scripts.base.errors import CommandError
from scripts.cluster.config import parse_cluster
from scripts.cluster.schema import Tls
from scripts.host import authority
from scripts.host.certificates import faults, read, warnings

NOW = datetime.now(UTC) + timedelta(hours=1)  # after the certificates below are made


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    authority.make(folder, ["a.lan", "10.0.0.5", "fd00::5", "*.b.lan"], ())
    return Tls(True, folder / "server.crt", folder / "server.key")


def fault(tls: Tls, now: datetime = NOW) -> str:
    with pytest.raises(CommandError) as error:
        read(tls, now)
    return "\n".join(error.value.lines)


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, stdin=subprocess.DEVNULL)


def test_a_certificate_is_read_with_its_names_and_joined_with_its_key(tls: Tls) -> None:
    certificate = read(tls, NOW)
    local = ("localhost", "127.0.0.1", "::1")
    assert set(certificate.names) == {"a.lan", "10.0.0.5", "fd00::5", "*.b.lan", *local}
    assert timedelta(days=363) < certificate.not_after - NOW < timedelta(days=366)
    assert certificate.pem.index("PRIVATE KEY") < certificate.pem.index("CERTIFICATE")
    assert (certificate.host("10.0.0.5"), certificate.host("10.0.0.6")) == ("10.0.0.5", "a.lan")


def test_the_gate_tells_the_end_that_make_up_warns_of_also_of_an_intermediate(tls: Tls, tmp_path: Path) -> None:
    out = ("-keyout", tmp_path / "ca.key", "-out", tmp_path / "ca.crt")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=between", "-days", 9, *out)
    chained = replace(tls, certificate=tmp_path / "chain.crt")
    chained.certificate.write_text(tls.certificate.read_text() + (tmp_path / "ca.crt").read_text())
    ends = []
    for one in (tls, chained):
        (tmp_path / "server.pem").write_text(read(one, NOW).pem)  # as the gate reads it, with the key
        ends.append(read(one, NOW).not_after)
        assert certificate_end(tmp_path / "server.pem") == ends[-1].timestamp()
    assert ends[1] - NOW < timedelta(days=9) < ends[0] - NOW


@pytest.mark.parametrize(("days", "warned"), [(300, False), (336, True), (364, True)])
def test_the_end_is_announced_30_days_before(tls: Tls, days: int, warned: bool) -> None:
    lines = warnings(tls, NOW + timedelta(days=days))
    assert [("renew it (`make cert`" in line) for line in lines] == [True] * warned


def test_dates_are_checked(tls: Tls) -> None:
    assert "found a certificate that ended on" in fault(tls, NOW + timedelta(days=366))
    assert "set this machine's clock, or wait" in fault(tls, NOW - timedelta(days=2))


def test_files_that_cannot_be_served_are_named_with_a_remedy(tls: Tls, tmp_path: Path) -> None:
    assert "make one with `make cert HOSTS=...`" in fault(replace(tls, certificate=tmp_path / "none"))
    assert "No such file or directory" in fault(replace(tls, key=tmp_path / "none"))
    other = tmp_path / "other"
    authority.make(other, ["a.lan"], ())
    assert "found a key that is not the certificate's" in fault(replace(tls, key=other / "server.key"))
    assert "tls/certificate" in (line := fault(replace(tls, certificate=tls.key)))
    assert "found no certificate in PEM" in line
    assert "found no private key in PEM" in fault(replace(tls, key=tls.certificate))
    openssl("x509", "-in", tls.certificate, "-outform", "der", "-out", tmp_path / "der")
    assert "found no certificate in PEM" in fault(replace(tls, certificate=tmp_path / "der"))
    openssl("pkey", "-in", tls.key, "-aes256", "-passout", "pass:x", "-out", tmp_path / "locked")
    assert "found a key with a passphrase" in fault(replace(tls, key=tmp_path / "locked"))


@pytest.mark.parametrize(
    ("bits", "name", "said"),
    [("rsa:2048", "subjectAltName=DNS:a", ""), ("rsa:2048", "nsComment=none", "found no names (subjectAltName)"),
     ("rsa:1024", "subjectAltName=DNS:a", "found a key that is too short")],
)  # fmt: skip
def test_a_certificate_that_clients_refuse_is_refused(bits: str, name: str, said: str, tmp_path: Path) -> None:
    out = ("-keyout", tmp_path / "key", "-out", tmp_path / "crt")
    openssl("req", "-x509", "-newkey", bits, "-nodes", "-subj", "/CN=a", "-addext", name, "-days", 9, *out)
    tls = Tls(True, tmp_path / "crt", tmp_path / "key")
    if said:
        assert said in fault(tls)
    else:
        tls.key.chmod(0o644)
        assert [line.partition(": ")[2].partition(",")[0] for line in warnings(tls)] == [
            f"found 8 days until it ends on {read(tls).not_after:%Y-%m-%d}: renew it (`make cert`",
            "found mode 0644",
        ]


def test_without_tls_nothing_is_read() -> None:
    model = '[[models]]\nname = "a"\nfolder = "b"\n'
    assert faults(parse_cluster(model, "c.toml")) == []
    assert "No such file" in faults(parse_cluster(f"[tls]\nenabled = true\n{model}", "c.toml"))[0]


@pytest.mark.parametrize("host", ["http://a", "a b", "a/b", "", "-a", "a..b", "1.2.3", "a" * 64, "a:443"])
def test_what_is_no_host_is_refused(host: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="needed host names and IP addresses"):
        authority.make(tmp_path, [host], ())
    assert list(tmp_path.iterdir()) == []


def test_hosts_are_written_as_certificates_have_them() -> None:
    given = ["A.lan.", "万物.cn", "[::0:1]", "10.0.0.5", "a.lan", "*.b"]
    assert authority.parse_hosts(given) == ("a.lan", "xn--chqw00g.cn", "::1", "10.0.0.5", "*.b")
