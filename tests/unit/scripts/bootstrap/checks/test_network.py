"""The swarm to join, and what is told of clock and firewall."""

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.checks import network

TOKEN = "SWMTKN-1-" + "a" * 50 + "-" + "b" * 25
WANTED = [("tcp", 2377), ("udp", 4789), ("tcp", 8080)]
UFW = """\
Status: active

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW       Anywhere
2377/tcp                   ALLOW       10.0.0.0/8
8080                       ALLOW       Anywhere
4789/udp                   DENY        Anywhere
22/tcp (v6)                ALLOW       Anywhere (v6)
"""
IPTABLES = """\
-P INPUT DROP
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -p tcp -m multiport --dports 2000:2400,8080 -j ACCEPT
-A INPUT -p udp -m udp --dport 4789 -j DROP
"""


def test_a_join_file_says_token_and_address() -> None:
    join = network.read_join(f"{TOKEN}@10.0.0.1\n")
    assert (join.token, join.manager) == (TOKEN, "10.0.0.1:2377")
    assert network.read_join(f"{TOKEN}@10.0.0.1:2400").manager == "10.0.0.1:2400"
    assert TOKEN not in repr(join)


@pytest.mark.parametrize("text", ["", TOKEN, f"{TOKEN}@", "SWMTKN@10.77.0.9", f"{TOKEN} @a", f"x{TOKEN}@a"])
def test_an_invalid_token_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(CommandError) as refusal:
        network.read_join(text)
    assert str(refusal.value) == (
        "found an invalid join token, needed SWMTKN-1-...@ADDRESS: "
        "run `docker swarm join-token worker` on the first server"
    )


@pytest.mark.parametrize(
    ("keepers", "synchronized", "begins"),
    [
        (["chronyd"], "yes", ""),
        (["chronyd"], "", ""),  # without systemd
        (["systemd-timesyn"], "no", "the clock is not synchronized yet, though systemd-timesyn runs"),
        ([], "no", "found no time synchronisation, needed"),
        ([], "", "found no time synchronisation, needed"),
    ],
)
def test_a_clock_that_nobody_keeps_is_told(keepers: list[str], synchronized: str, begins: str) -> None:
    note = network.clock_note(keepers, synchronized)
    assert note.startswith(begins)
    assert bool(note) == bool(begins)


def test_a_firewall_is_told_by_the_ports_that_it_keeps_closed() -> None:
    assert network.ufw_closed(UFW, WANTED) == [("udp", 4789)]
    assert network.ufw_closed("Status: inactive\n", WANTED) == []
    assert network.firewalld_closed("running\n", "8080/tcp 2000-3000/tcp", WANTED) == [("udp", 4789)]
    assert network.firewalld_closed("", "", WANTED) == []
    assert network.iptables_closed(IPTABLES, WANTED) == [("udp", 4789)]


@pytest.mark.parametrize("rules", ["", "-P INPUT ACCEPT\n", "-P INPUT ACCEPT\n-A INPUT -p tcp --dport 25 -j DROP\n"])
def test_a_chain_that_lets_all_in_is_none(rules: str) -> None:
    assert network.iptables_closed(rules, WANTED) == []


def test_a_chain_that_ends_with_reject_is_one() -> None:
    rules = "-P INPUT ACCEPT\n-A INPUT -p tcp --dport 22 -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-port\n"
    assert network.iptables_closed(rules, WANTED) == WANTED


def test_the_note_names_ports_as_firewalls_do() -> None:
    assert network.firewall_note("ufw", []) == ""
    assert network.firewall_note("ufw", [("udp", 4789), ("tcp", 8080)]) == (
        "found a firewall (ufw) that may not let in 4789/udp, 8080/tcp, which other servers and clients need: open them"
    )
