"""Stage 0 of init-server.sh, as far as it only reads: the systems that it knows, and its manual."""

import subprocess

import pytest

from scripts.cluster.config import ROOT

SCRIPT = ROOT / "scripts/init-server.sh"
# All of the script but its last line, which runs it.
DETECT = f'. <(sed "\\$d" {SCRIPT}); detect_system /dev/stdin; echo "$SYSTEM"'
# The os-release of these systems, without what is not read.
RELEASES = {
    "debian-12": 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
    "debian-13": 'NAME="Debian GNU/Linux"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n',
    "ubuntu-22.04": (
        'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\nID=ubuntu\nID_LIKE=debian\n'
        "UBUNTU_CODENAME=jammy\n"
    ),
    "ubuntu-24.04": (
        'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n'
    ),
}
RPM = ", for which no bundle has Docker, Compose, Python and make"
REFUSED = {
    'NAME="openEuler"\nVERSION_ID="22.03"\nID="openEuler"\nPRETTY_NAME="openEuler 22.03 (LTS-SP4)"\n': RPM,
    'ID="kylin"\nVERSION_ID="V10"\nPRETTY_NAME="Kylin Linux Advanced Server V10 (Halberd)"\n': RPM,
    'PRETTY_NAME="UnionTech OS Server 20"\nVERSION_ID="20"\nID=uos\n': RPM,
    'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nPRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\n': RPM,
    'ID=debian\nVERSION_ID="11"\nVERSION_CODENAME=bullseye\nPRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\n': "",
    'ID=arch\nPRETTY_NAME="Arch Linux"\n': "",
}


def detect(release: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", DETECT], input=release, capture_output=True, text=True)


@pytest.mark.parametrize("system", RELEASES)
def test_a_system_or_what_it_derives_from_is_known(system: str) -> None:
    assert detect(RELEASES[system]).stdout == f"{system}\n"


@pytest.mark.parametrize(("release", "missing"), REFUSED.items())
def test_any_other_system_is_refused_with_what_no_bundle_has_for_it(release: str, missing: str) -> None:
    name = release.partition('PRETTY_NAME="')[2].partition('"')[0]
    done = detect(release)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"!! found {name}{missing}, needed one of debian-12 debian-13 ubuntu-22.04 ubuntu-24.04 or a system derived "
        "from them: use a server with one of these\n"
    )


def test_help_prints_the_header() -> None:
    header = SCRIPT.read_text().partition("\nset -euo")[0].splitlines()[1:]
    done = subprocess.run(["bash", SCRIPT, "--first", "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [line.removeprefix("#").removeprefix(" ") for line in header]
