"""What Nginx and users get to know of the roster: the list of servers, the status, the gate's own gauges."""

import time
from collections.abc import Mapping, Set
from typing import Any

from .access import loaded_keys, views
from .answers import Answers, Listed
from .configuration import Configuration
from .observed import Observed, disk
from .out import Nginx, log, now, read_models, write_models, write_status
from .outliers import most_ejected
from .roster import Roster
from .rules import is_kept_whole
from .status import render_models, render_status
from .upstreams import listed_pools, render_upstreams

STATUS_S = 1.0  # between two writes of the status, at most
STATUS_GAP_S = 0.1  # between two writes of the status, at least, however many workers change


class Publisher:
    """Keep Nginx's list and the status to what the roster says."""

    def __init__(
        self,
        configuration: Configuration,
        roster: Roster,
        nginx: Nginx,
        answers: Answers,
        observed: Observed,
        status_s: float,
    ) -> None:
        self._configuration, self._roster, self._nginx = configuration, roster, nginx
        self._answers, self._observed, self._status_s = answers, observed, status_s
        self._out = nginx.file.parent
        self.metrics_at = ""  # where Nginx asks for them
        self._required_models: set[str] = set()  # ready.json exists only while all of these are ready
        self._models = read_models(self._out)
        self._kept_whole: frozenset[str] = frozenset()  # models
        self._known_keys: list[str] | None = None  # the ids of those by which Nginx judges requests
        self._upstreams = ""  # the text for Nginx
        self._loaded = listed_pools(nginx.file.read_text())
        self._reachable = set(roster.last_listed)  # workers that Nginx may still send requests to
        self._status_due = self._status_written_at = 0.0

    def until_due_s(self) -> float:
        """Return the seconds until the status is due, never 0."""
        return max(self._status_due - time.monotonic(), STATUS_GAP_S)

    def require(self, models: Set[str], is_first: bool) -> None:
        """Let ready.json wait for all `models` if they are the first ones; those that are declared later come later."""
        self._required_models = set(models) if is_first else self._required_models & models

    def write_models(self) -> None:
        """List the models for every key, as far as the last status knows them."""
        write_models(self._out, self._models, views(self._configuration.keys))

    def publish(self) -> bool:
        """Load the list if it has changed, and write the status if it is due; return whether it was.

        Raise OSError if a file cannot be written.
        """
        roster = self._roster
        if not roster.pools:
            return False
        if roster.stale:
            self._render_list()
            roster.stale = False
        if self._nginx.apply(self._upstreams):
            if self._nginx.refused:
                self._observed.count("lists_refused_total")
            self._loaded = listed_pools(self._nginx.file.read_text())
            self._follow_answers()
        self._reachable |= roster.last_listed.keys()
        if self._nginx.settled:
            self._reachable = {worker for servers in self._loaded.values() for worker in servers}
            self._answers.end_bypasses()
        if roster.moved:
            self._status_due, roster.moved = self._status_written_at + STATUS_GAP_S, False
        # Not before every worker was probed: until then the previous gate's status is the better one.
        if time.monotonic() < self._status_due or not all(peer.probed for peer in roster.peers.values()):
            return False
        self._write_status()
        return True

    def _render_list(self) -> None:
        roster, configuration = self._roster, self._configuration
        self._note_whole_pools()
        listed = roster.select()
        failing = {member.worker for member, peer in roster.peers.items() if not peer.listable}
        self._upstreams = render_upstreams(
            listed,
            self._answers.log_target,
            configuration.options,
            configuration.keys,
            failing,
            configuration.certificate,
            self.metrics_at,
        )
        self._follow_answers()

    def _note_whole_pools(self) -> None:
        """Log each pool of which so many workers fail together that Nginx keeps them all, and the end of that."""
        roster = self._roster
        whole = {model for model, members in roster.pools.items() if is_kept_whole(members, roster.peers)}
        for model in whole ^ self._kept_whole:
            log("pool_kept_whole" if model in whole else "pool_kept_whole_no_more", model=model)
        self._kept_whole = frozenset(whole)

    def _follow_answers(self) -> None:
        ejected = {member for member, peer in self._roster.peers.items() if peer.rotation == "ejected"}
        pools = {}
        for model, servers in self._loaded.items():
            members = self._roster.pools.get(model, ())
            ejectable = most_ejected(len(members)) - len(ejected.intersection(members))
            pools[model] = Listed(model, tuple(servers.values()), ejectable)
        self._answers.follow(pools)

    def _write_status(self) -> None:
        roster = self._roster
        self._status_written_at = time.monotonic()
        self._nginx.reopen_large_logs()
        self._status_due = self._status_written_at + self._status_s
        loaded = {worker: address for servers in self._loaded.values() for worker, address in servers.items()}
        rates = {model: rate.describe(time.monotonic()) for model, rate in roster.rates.items()}
        status = render_status(roster.pools, roster.peers, loaded, now(), rates)
        self._required_models |= {model["name"] for model in status["models"] if model["ready"]}
        if self._nginx.settled:
            self._known_keys = loaded_keys(self._nginx.file.read_text())
        if self._known_keys is not None:
            status["keys"] = self._known_keys
        members = {member.worker for pool in roster.pools.values() for member in pool}
        status["leaving"] = sorted(self._reachable - members)
        self._models = render_models(status, roster.pools, roster.peers)
        self.write_models()
        write_status(self._out, status, self._required_models)
        self._publish_gauges(status)

    def _publish_gauges(self, status: Mapping[str, Any]) -> None:
        peers, configuration = self._roster.peers, self._configuration
        self._observed.follow({member: (peer.address or "", peer.name(member)) for member, peer in peers.items()})
        values = {
            "list_timestamp_seconds": self._nginx.loaded_at or None,
            "list_refused": float(self._nginx.refused),
            "members_refused": float(bool(configuration.fault)),
            "certificate_end_timestamp_seconds": configuration.certificate_end,
            "target_seconds": configuration.options.metrics.target_ms / 1000,
            **disk(configuration.members_file),
        }
        self._observed.publish(status, values)
