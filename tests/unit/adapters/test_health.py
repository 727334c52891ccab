"""Probes: what lives, what is ready and why not; and pages that no client can hold up."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from http.client import HTTPConnection

import pytest

from gate.adapters import pages as served
from gate.adapters.health import ALIVE_MS, Health
from gate.adapters.pages import CONNECTIONS_MAX, HEAD_BYTES_MAX, Page, Pages, json_page
from gate.errors import ConfigInvalid
from gate.views import GateView, PartitionView
from tests.planted import planted
from tests.views import a_partition
from tests.worlds import StillClock

LOCAL = "127.0.0.1"


def a_view(*partitions: PartitionView, **changes: object) -> GateView:
    return GateView(
        **{"partitions": partitions, "is_producer_usable": True, "unreachable": "", **changes}
    )


def failing(view: GateView) -> list[dict[str, object]]:
    health = Health(StillClock())
    health.turned(view)
    is_ready, answer = health.ready()
    assert is_ready is (answer["failing"] == []) is answer["ready"]
    return answer["failing"]


def test_a_gate_lives_while_its_loop_turned_within_75_s() -> None:
    clock = StillClock()
    health = Health(clock)
    clock.elapsed_ms += ALIVE_MS - 5
    assert health.alive()[0]
    clock.elapsed_ms += 10
    assert health.alive() == (False, {"alive": False, "last_turn_ms_ago": ALIVE_MS + 7})
    health.turned(a_view())
    assert health.alive()[0]
    clock.elapsed_ms += ALIVE_MS
    assert not health.alive()[0]
    health.stepped()
    assert health.alive()[0]


def test_a_gate_that_has_not_turned_yet_is_starting() -> None:
    assert Health(StillClock()).ready() == (
        False,
        {"ready": False, "failing": [{"condition": "starting"}], "notes": []},
    )


def test_what_is_insecure_is_said_also_when_ready() -> None:
    health = Health(StillClock(), notes=["insecure_dev: one replica"])
    health.turned(a_view(a_partition()))
    assert health.ready() == (
        True,
        {"ready": True, "failing": [], "notes": ["insecure_dev: one replica"]},
    )


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (
            a_view(a_partition(is_input_pinned=True)),
            {
                "condition": "input_pinned",
                "partition": 0,
                "phase": "ready",
                "text": "a transaction of somebody else holds the input: "
                "nothing behind it can be read",
            },
        ),
        (
            a_view(a_partition(3, phase="stopped", cause="pinned", text="held at 7")),
            {
                "condition": "partition_stopped",
                "partition": 3,
                "phase": "stopped",
                "cause": "pinned",
                "text": "held at 7",
            },
        ),
        (
            a_view(a_partition(1, phase="replaying", restore_remaining=90)),
            {"condition": "restoring", "partition": 1, "phase": "replaying", "remaining": 90},
        ),
        (
            a_view(a_partition(2, phase="checking", text="offsets are pending")),
            {
                "condition": "partition_not_ready",
                "partition": 2,
                "phase": "checking",
                "text": "offsets are pending",
            },
        ),
        (
            a_view(a_partition(0, policies=())),
            {
                "condition": "no_policy",
                "partition": 0,
                "phase": "ready",
                "text": "everything is denied: activate one",
            },
        ),
        (a_view(a_partition(), is_producer_usable=False), {"condition": "producer_not_usable"}),
        (
            a_view(a_partition(), unreachable="Kafka at `k:9092` can not be reached"),
            {"condition": "log_unreachable", "text": "Kafka at `k:9092` can not be reached"},
        ),
        (
            a_view(),
            {"condition": "no_partition", "text": "none is assigned to this process yet"},
        ),
    ],
    ids=lambda value: value["condition"] if isinstance(value, dict) else "",
)
def test_each_condition_that_fails_is_named(view: GateView, expected: dict[str, object]) -> None:
    assert failing(view) == [expected]


def test_every_failing_condition_is_named_at_once() -> None:
    view = a_view(
        a_partition(0),
        a_partition(1, phase="stopped", cause="lost", text="gone"),
        a_partition(2, policies=()),
        is_producer_usable=False,
    )
    assert [item["condition"] for item in failing(view)] == [
        "producer_not_usable",
        "partition_stopped",
        "no_policy",
    ]


@pytest.fixture
def pages() -> Iterator[Pages]:
    def broken(accept: str) -> Page:
        raise RuntimeError(accept)

    made = Pages(
        LOCAL,
        0,
        {
            "/good": lambda _: json_page(True, {"good": "yes"}),
            "/bad": lambda _: json_page(False, {"good": "no"}),
            "/echo": lambda accept: Page(HTTPStatus.OK, "text/plain", accept.encode()),
            "/large": lambda _: Page(HTTPStatus.OK, "text/plain", bytes(5_000_000)),
            "/broken": broken,
        },
    )
    yield made
    made.close()


def asked(pages: Pages, raw: bytes) -> bytes:
    with socket.create_connection((LOCAL, pages.port), timeout=10) as client:
        client.sendall(raw)
        return b"".join(iter(lambda: client.recv(65_536), b""))


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def test_a_page_is_served_to_an_ordinary_client(pages: Pages) -> None:
    connection = HTTPConnection(LOCAL, pages.port, timeout=10)
    connection.request("GET", "/bad?x=1", headers={"Accept": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Type")) == (503, "application/json")
    assert json.loads(answer.read()) == {"good": "no"}


def test_a_page_is_given_what_the_client_accepts(pages: Pages) -> None:
    answer = asked(pages, b"GET /echo HTTP/1.1\r\naCCept:  a/b \r\nAccept: c\r\n\r\n")
    assert answer.endswith(b"\r\n\r\na/b,c")


def test_head_has_the_length_and_no_body(pages: Pages) -> None:
    got, head = (asked(pages, method + b" /good HTTP/1.0\r\n\r\n") for method in (b"GET", b"HEAD"))
    assert got.startswith(head)
    assert (head.endswith(b"\r\n\r\n"), len(got) - len(head)) == (True, 16)


def test_a_large_page_arrives_whole(pages: Pages) -> None:
    assert len(asked(pages, b"GET /large HTTP/1.1\r\n\r\n")) > 5_000_000


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"GET /nowhere HTTP/1.1\r\n\r\n", 404),
        (b"GET /../good HTTP/1.1\r\n\r\n", 404),
        (b"GET http://other/good HTTP/1.1\r\n\r\n", 404),
        (b"POST /good HTTP/1.1\r\n\r\nbody", 405),
        (b"GET /good\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET /good SPDY/3\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /" + b"a" * HEAD_BYTES_MAX + b" HTTP/1.1\r\n", 431),
        (b"GET /broken HTTP/1.1\r\n\r\n", 500),
        (b"GET /good HTTP/1.1\r\n" + b"X: " + b"\xff" * 2_000 + b"\r\n\r\n", 200),
    ],
)
def test_a_bad_request_gets_its_answer_and_the_next_one_too(
    pages: Pages, raw: bytes, expected: int
) -> None:
    assert status(asked(pages, raw)) == expected
    assert status(asked(pages, b"GET /good HTTP/1.1\r\n\r\n")) == 200


def test_a_request_in_single_bytes_is_read(pages: Pages) -> None:
    with socket.create_connection((LOCAL, pages.port), timeout=10) as client:
        for byte in b"GET /good HTTP/1.1\r\n\r\n":
            client.sendall(bytes([byte]))
        assert status(client.recv(100)) == 200


def test_a_client_that_goes_away_is_forgotten(pages: Pages) -> None:
    for _ in range(10):
        client = socket.create_connection((LOCAL, pages.port))
        client.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    assert status(asked(pages, b"GET /good HTTP/1.1\r\n\r\n")) == 200


def test_a_slow_client_is_dropped_in_time(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "SECONDS_MAX", 0.3)
    with socket.create_connection((LOCAL, pages.port), timeout=10) as client:
        client.sendall(b"GET /good")
        assert client.recv(100) == b""


def _probe_behind(pages: Pages, count: int) -> float:
    """Seconds until a probe is answered while so many clients say nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((LOCAL, pages.port), timeout=10))
        started = time.monotonic()
        assert status(asked(pages, b"GET /good HTTP/1.1\r\n\r\n")) == 200
        return time.monotonic() - started


def test_a_thousand_silent_clients_keep_no_probe_out(pages: Pages) -> None:
    assert _probe_behind(pages, 1_000) < 1
    assert len(pages._open) <= CONNECTIONS_MAX


def test_without_the_limit_the_silent_clients_stay() -> None:
    """What the limit is for: handles are finite."""
    whole = "            if len(self._open) >= CONNECTIONS_MAX:\n"
    with planted("gate.adapters.pages", whole, "            if False:\n"):
        made = Pages(LOCAL, 0, {"/good": lambda _: json_page(True, {})})
        _probe_behind(made, 400)
        kept = len(made._open)
        made.close()
    assert kept > CONNECTIONS_MAX


def test_the_port_of_another_process_is_refused_with_the_cure(pages: Pages) -> None:
    with pytest.raises(ConfigInvalid) as refusal:
        Pages(LOCAL, pages.port, {})
    assert str(refusal.value) == (
        f"`health.port`: `127.0.0.1` port {pages.port} can not be had: address already in use: "
        "end the process that has it, or name another port"
    )


def test_an_address_of_another_machine_is_refused_with_the_cure() -> None:
    with pytest.raises(ConfigInvalid, match=r"name an address of this machine in `health.address`"):
        Pages("192.0.2.1", 0, {})


def test_closing_frees_the_port_and_ends_the_thread() -> None:
    first = Pages(LOCAL, 0, {})
    port = first.port
    first.close()
    Pages(LOCAL, port, {}).close()
    assert "pages" not in {thread.name for thread in threading.enumerate()}
