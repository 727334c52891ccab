"""A few read-only pages over HTTP for probes and scrapers: one thread, one port.

Promises that nobody who connects can disturb the process: at most `CONNECTIONS_MAX` connections
(the oldest gives way to the newest, so a slow client never keeps a probe out), each for at most
`SECONDS_MAX` and `HEAD_BYTES_MAX`, and a tenth of a core for all of it. One request a connection
(RFC 9112, `Connection: close`); the threads of the standard library's server would share the
interpreter with the gate, one each.

Leaves to others: what the pages say, and encryption.
"""

import errno
import json
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, NamedTuple

from gate.errors import ConfigInvalid

CONNECTIONS_MAX: Final = 128
SECONDS_MAX: Final = 5.0
HEAD_BYTES_MAX: Final = 8 * 1024
_SHARE: Final = 10
_REST_SECONDS_MAX: Final = 0.5
_LOOK_SECONDS: Final = 0.5
_ACCEPTED_MAX: Final = 32
_READ_BYTES: Final = 4 * 1024
_PRIVILEGED: Final = 1024


class Page(NamedTuple):
    """An answer."""

    status: HTTPStatus
    content_type: str
    body: bytes


def json_page(is_good: bool, value: object) -> Page:
    """Return a page of JSON in ASCII: 200, or 503 when what was asked for is not so."""
    status = HTTPStatus.OK if is_good else HTTPStatus.SERVICE_UNAVAILABLE
    body = json.dumps(value, sort_keys=True).encode() + b"\n"
    return Page(status, "application/json", body)


@dataclass(slots=True)
class _Connection:
    """A client that has not finished asking, or not yet taken its answer."""

    socket: socket.socket
    ends_at: float
    head: bytearray = field(default_factory=bytearray)
    answer: memoryview = field(default_factory=lambda: memoryview(b""))


class Pages:
    """Serves `pages` by path until `close`; each page is given the request's `Accept`."""

    def __init__(self, address: str, port: int, pages: Mapping[str, Callable[[str], Page]]) -> None:
        """Listen. Raises `ConfigInvalid` when the port can not be had."""
        self._pages = dict(pages)
        self._listener = _listen(address, port)
        self._wake, self._woken = socket.socketpair()
        self._open: dict[int, _Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="pages", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Stop listening, and drop whoever is connected."""
        self._is_closing = True
        self._wake.send(b"\0")
        self._thread.join(SECONDS_MAX)
        for connection in list(self._open.values()):
            self._drop(connection)
        for opened in (self._listener, self._wake, self._woken):
            opened.close()
        self._selector.close()

    def _serve(self) -> None:
        """Work off what is ready, then rest in proportion: others need the interpreter."""
        while not self._is_closing:
            ready = self._selector.select(_LOOK_SECONDS if self._open else None)
            started = time.thread_time()
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.data, _Connection) and key.fd in self._open:
                    self._go_on(key.data)
            self._drop_late()
            used = time.thread_time() - started
            time.sleep(min(used * (_SHARE - 1), _REST_SECONDS_MAX))

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_MAX):
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # nobody more, or gone again, or no handle left
                return
            accepted.setblocking(False)
            if len(self._open) >= CONNECTIONS_MAX:
                self._drop(next(iter(self._open.values())))
            connection = _Connection(accepted, time.monotonic() + SECONDS_MAX)
            self._open[accepted.fileno()] = connection
            self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _go_on(self, connection: _Connection) -> None:
        try:
            if not connection.answer and not self._read(connection):
                return
            sent = connection.socket.send(connection.answer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._drop(connection)
            return
        connection.answer = connection.answer[sent:]
        if connection.answer:
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
        else:
            self._drop(connection)

    def _read(self, connection: _Connection) -> bool:
        """Return whether there is an answer now."""
        received = connection.socket.recv(_READ_BYTES)
        head = connection.head
        head += received
        end = head.find(b"\r\n\r\n")
        if end >= 0:
            connection.answer = memoryview(self._answer(bytes(head[:end])))
        elif len(head) > HEAD_BYTES_MAX:
            connection.answer = memoryview(
                _encoded(_plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE), has_body=True)
            )
        elif not received:
            self._drop(connection)
        return bool(connection.answer)

    def _answer(self, head: bytes) -> bytes:
        line, *fields = head.decode("latin-1").split("\r\n")
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _encoded(_plain(HTTPStatus.BAD_REQUEST), has_body=True)
        method, target, _ = words
        if method not in {"GET", "HEAD"}:
            return _encoded(_plain(HTTPStatus.METHOD_NOT_ALLOWED), has_body=True)
        page = self._pages.get(target.partition("?")[0])
        accept = ",".join(
            value.strip()
            for name, _, value in (item.partition(":") for item in fields)
            if name.lower() == "accept"
        )
        return _encoded(_given(page, accept), has_body=method == "GET")

    def _drop_late(self) -> None:
        """Connections are in the order of their deadlines."""
        now = time.monotonic()
        for connection in list(self._open.values()):
            if connection.ends_at > now:
                return
            self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        del self._open[connection.socket.fileno()]
        self._selector.unregister(connection.socket)
        connection.socket.close()


def _given(page: Callable[[str], Page] | None, accept: str) -> Page:
    if page is None:
        return _plain(HTTPStatus.NOT_FOUND)
    try:
        return page(accept)
    except Exception:  # noqa: BLE001 - a page that fails must not end the thread
        return _plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def _plain(status: HTTPStatus) -> Page:
    return Page(status, "text/plain; charset=utf-8", status.phrase.lower().encode() + b"\n")


def _encoded(page: Page, *, has_body: bool) -> bytes:
    allow = "Allow: GET, HEAD\r\n" if page.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        f"Content-Type: {page.content_type}\r\nContent-Length: {len(page.body)}\r\n"
        f"Cache-Control: no-store\r\n{allow}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (page.body if has_body else b"")


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family, backlog=CONNECTIONS_MAX)
    except OSError as error:
        text = os.strerror(error.errno or 0).lower()  # the error's own repeats the address
        raise ConfigInvalid(
            f"`health.port`: `{address}` port {port} can not be had: {text}: {_cure(error, port)}"
        ) from error
    listener.setblocking(False)
    return listener


def _cure(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return "end the process that has it, or name another port"
    if error.errno == errno.EACCES and port < _PRIVILEGED:
        return f"name a port from {_PRIVILEGED} on"
    return "name an address of this machine in `health.address`"
