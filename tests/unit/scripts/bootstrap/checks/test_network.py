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


def test_a_clock_that_nobody_keeps_is_told() -> None:
    assert network.clock_note(["systemd", "chronyd"], synchronized=False) == ""
    assert network.clock_note(["systemd-timesyn"], synchronized=True) == ""
    assert network.clock_note(["systemd-timesyn"], synchronized=False) == (
        "found a clock that systemd-timesyncd has not set yet, needed a right one: see `timedatectl`"
    )
    assert network.clock_note(["systemd", "sshd"], synchronized=False) == (
        "found no time synchronisation, needed a right clock for Swarm's certificates: install chrony"
    )


OPEN = "-P INPUT ACCEPT\n-A INPUT -p tcp --dport 25 -j DROP\n"
REJECTING = "-P INPUT ACCEPT\n-A INPUT -p tcp --dport 22 -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-port\n"


@pytest.mark.parametrize(
    ("ufw", "firewalld", "ports", "iptables", "told"),
    [
        ("", "", "", "", ""),
        ("Status: inactive\n", "not running\n", "", OPEN, ""),
        (UFW, "", "", IPTABLES, "(ufw) that may not let in 4789/udp"),
        ("", "running\n", "8080/tcp 2000-3000/tcp\n", IPTABLES, "(firewalld) that may not let in 4789/udp"),
        ("", "running\n", "8080/tcp 2377/tcp 4789/udp\n", REJECTING, ""),
        ("", "", "", IPTABLES, "(iptables) that may not let in 4789/udp"),
        ("", "", "", REJECTING, "(iptables) that may not let in 2377/tcp, 4789/udp, 8080/tcp"),
    ],
)
def test_a_firewall_is_told_by_the_ports_that_it_keeps_closed(
    ufw: str, firewalld: str, ports: str, iptables: str, told: str
) -> None:
    note = network.firewall_note(ufw, firewalld, ports, iptables, WANTED)
    assert note == (told and f"found a firewall {told}, which other servers and clients need: open them")
