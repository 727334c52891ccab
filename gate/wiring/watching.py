"""What watches a running gate: its events, and where a port is configured, probes and metrics."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from http import HTTPStatus
from typing import NamedTuple

from gate.adapters.clock import SystemClock
from gate.adapters.health import Health
from gate.adapters.metrics import Metrics
from gate.adapters.pages import Page, Pages, json_page
from gate.adapters.telemetry import LogTelemetry
from gate.config import Config
from gate.ports import EventKind, Telemetry
from gate.views import Committed, GateView, Monitor
from gate.wiring.identities import package_version, runtime_line

_INSECURE = "insecure_dev: topics of one replica are accepted, an acknowledged record may be lost"


class Watching(NamedTuple):
    """Takes a gate's events and views; `pages` serves them for the time of a `with` block.

    Without a configured port there is no monitor, and `pages` serves nothing. `pages` raises
    `ConfigInvalid` when the port can not be had.
    """

    telemetry: Telemetry
    monitor: Monitor | None
    pages: Callable[[], AbstractContextManager[object]]


def watching(config: Config) -> Watching:
    """Return what watches the gate of this configuration."""
    log = LogTelemetry(slot=config.slot)
    if config.health.port is None:
        return Watching(log, None, nullcontext)
    watch = _Watch(config, log, config.health.port)
    return Watching(watch, watch, watch.pages)


class _Watch:
    """Implements `gate.ports.Telemetry` and `gate.ports.Monitor`: logs, counts, and shows."""

    def __init__(self, config: Config, log: LogTelemetry, port: int) -> None:
        self._log = log
        self._address, self._port = config.health.address, port
        self._health = Health(SystemClock(), notes=[_INSECURE] if config.insecure_dev else [])
        self._metrics = Metrics(
            lambda: self._health.view,
            version=package_version(),
            runtime=runtime_line().rpartition(" ")[2],
        )

    def emit(self, kind: EventKind, **fields: object) -> None:
        self._log.emit(kind, **fields)
        self._metrics.emit(kind, **fields)

    def turned(self, view: GateView) -> None:
        self._health.turned(view)

    def stepped(self) -> None:
        self._health.stepped()

    def committed(self, transaction: Committed) -> None:
        self._metrics.committed(transaction)

    @contextmanager
    def pages(self) -> Iterator[None]:
        answers = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._scraped}
        with closing(Pages(self._address, self._port, answers)):
            yield

    def _livez(self, accept: str) -> Page:
        del accept
        return json_page(*self._health.alive())

    def _readyz(self, accept: str) -> Page:
        del accept
        return json_page(*self._health.ready())

    def _scraped(self, accept: str) -> Page:
        return Page(HTTPStatus.OK, *self._metrics.exposition(accept))
