"""Which gateway runs, of those that it could be."""

from scripts.cluster.config import Cluster, parse_cluster
from scripts.runtimes.waiting import answering
from tests import answers
from tests.service import PHOTOS, free_ports

STATUS = {"/status": (200, b'{"workers": []}')}


def cluster(port: int, more: str = "") -> Cluster:
    return parse_cluster(f"port = {port}\n{PHOTOS}{more}", "c.toml")


def test_of_several_clusters_the_one_whose_gateway_answers_runs() -> None:
    free = free_ports(2)
    with answers.answering(STATUS) as server, answers.answering({}) as other:
        clusters = [cluster(port) for port in (free, other.port, server.port, free + 1)]
        assert answering(clusters) == clusters[2]
    assert answering(clusters, timeout_s=0) == clusters[-1]


def test_where_all_are_reached_alike_the_first_one_is_taken_unasked() -> None:
    port = free_ports(1)
    clusters = [cluster(port), cluster(port, "[limits]\nqueue = 70\n")]
    assert answering(clusters) == clusters[0]
