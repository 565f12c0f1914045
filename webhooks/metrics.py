"""Metrics in Prometheus' format, in a registry of their own (two services in one process do not meet)."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counters that the rooms increase, gauges that are set when somebody asks."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.deliveries = Counter(
            "trueup_deliveries_total", "Webhook deliveries by outcome.", ["forge", "outcome"], registry=self._registry
        )
        self.plans = Counter("trueup_plans_total", "Pull requests planned, by outcome.", ["outcome"], registry=self._registry)
        self.planning = Histogram("trueup_planning_seconds", "Time to plan a pull request.", registry=self._registry)
        self.comments = Counter("trueup_comments_total", "Comments written or edited.", registry=self._registry)
        self.reports = Counter("trueup_reports_total", "Reports of hosts by result.", ["result"], registry=self._registry)
        self.releases = Counter("trueup_releases_total", "Releases by what became of them.", ["state"], registry=self._registry)
        self._jobs = Gauge("trueup_jobs", "Jobs by state.", ["state"], registry=self._registry)
        self._hosts = Gauge("trueup_hosts", "Enrolled hosts.", registry=self._registry)
        self._open = Gauge("trueup_pulls_open", "Open pull requests.", registry=self._registry)

    def render(self, jobs: Mapping[str, int], *, hosts: int, pulls: int) -> bytes:
        """Give the page; the gauges are what the store says now."""
        for state in ("ready", "running", "dead"):
            self._jobs.labels(state).set(jobs.get(state, 0))
        self._hosts.set(hosts)
        self._open.set(pulls)
        return generate_latest(self._registry)
