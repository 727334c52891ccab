"""A real gate process is probed, scraped, attacked, and given input that tries to be quoted."""

import json
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gate.ports import OutputRecord
from tests.builders import a_bundle, a_control_record, a_request, a_statement, an_activation
from tests.processes import ENDS_WITHIN_S, ProcessWorld
from tests.simulation.gate_world import OPEN_POLICY
from tests.worlds import TOPICS

pytestmark = pytest.mark.integration
SILENT = {"condition": "silent"}
MARKER = "quotedbynobody"


class Watched:
    """A running gate with a health port."""

    def __init__(self, world: ProcessWorld) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = world.start(GATE_HEALTH__PORT=str(self.port))

    def get(self, path: str) -> tuple[int, str]:
        """Ask for a page; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> dict[str, Any]:
        status, text = self.get("/readyz")
        return json.loads(text) if status else {"ready": False, "failing": [SILENT]}

    def total(self, name: str) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
            if sample.name == name
        )

    def stop(self) -> str:
        """End it in order and return what it said."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=ENDS_WITHIN_S)
        assert self.process.returncode == 0, said
        return said


@pytest.fixture
def world(tmp_path: Path) -> ProcessWorld:
    made = ProcessWorld(tmp_path / "gate", partitions=2)
    made.init()
    return made


@pytest.fixture
def watched(world: ProcessWorld) -> Iterator[Watched]:
    made = Watched(world)
    yield made
    made.process.kill()
    made.process.wait()


def wait_for(is_so: Callable[[], object], *, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def activate(world: ProcessWorld) -> None:
    bundle = a_bundle(requester="open", source=OPEN_POLICY)
    world.control(an_activation(bundle, topic_id=world.topic_id))


def submit(world: ProcessWorld, count: int) -> None:
    world.submit(
        *(
            (
                f"L-{number}".encode(),
                a_request(loan_id=f"L-{number}", score=None, signer=None, request_id=f"r-{number}"),
            )
            for number in range(count)
        )
    )


def test_a_gate_is_ready_once_a_policy_is_in_force(world: ProcessWorld, watched: Watched) -> None:
    wait_for(lambda: watched.get("/livez")[0] == 200)
    wait_for(lambda: watched.ready()["failing"] != [SILENT])
    wait_for(lambda: {item["condition"] for item in watched.ready()["failing"]} == {"no_policy"})
    assert watched.get("/readyz")[0] == 503
    activate(world)
    wait_for(lambda: watched.ready() == {"ready": True, "failing": [], "notes": []})
    assert watched.get("/readyz")[0] == 200
    assert watched.get("/anything")[0] == 404
    watched.stop()
    assert watched.get("/livez")[0] == 0


def test_the_counts_are_those_of_the_topics(world: ProcessWorld, watched: Watched) -> None:
    activate(world)
    submit(world, 300)
    submit(world, 10)
    world.submit((b"L-1", b"junk"))
    wait_for(lambda: watched.total("gate_decisions_total") == 311)

    counted = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(watched.get("/metrics")[1])
        for sample in family.samples
        if sample.name in {"gate_decisions_total", "gate_quarantined_total"}
    }
    assert counted == {
        ("gate_decisions_total", "approved", "approved"): 300,
        ("gate_decisions_total", "denied", "replayed"): 10,
        ("gate_decisions_total", "denied", "framing_unknown"): 1,
        ("gate_quarantined_total", "framing_unknown"): 1,
    }
    assert len(world.records(TOPICS.approved)) == 300
    assert len(world.records(TOPICS.denied)) == 11
    assert watched.total("gate_decision_delay_seconds_count") == 313  # with two control records
    assert watched.total("gate_checkpoint_size") == 311 + 2 * 2
    wait_for(lambda: watched.total("gate_input_lag_records") == 0)
    watched.stop()


def test_a_port_that_is_taken_is_refused_with_the_cure(world: ProcessWorld) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = world.start(GATE_HEALTH__PORT=str(port))
        _, said = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 3
    assert f"port {port} can not be had: address already in use: end the process" in said


def hostile_values() -> list[tuple[bytes | None, bytes | None]]:
    """Records that carry the marker wherever somebody without rights can write something."""
    key, text = MARKER.encode(), MARKER
    stated = a_statement({text: 1}, subject=text, issuer=text, subject_type=text, signer=text)
    requests = [
        a_request(actor=text),
        a_request(action=text),
        a_request(audience=text),
        a_request(resource=text),
        a_request(request_id=text),
        a_request(loan_id=text, applicant=text, signer=text),
        a_request(parameters={text: text}, attestations=(stated,)),
        a_request(signer=None, request_id=text, actor=text, score=None, loan_id=text),
    ]
    forged = {"authors": (text,), "activators": (text,), "topic_id": text}
    controls = [
        an_activation(a_bundle(policy=text), **forged),
        an_activation(a_bundle(policy=text), audience=text, **forged),
        an_activation(a_bundle(action=text, space=text), previous="ab" * 32, **forged),
        a_control_record(1, json.dumps({"payloadType": text, "payload": text}).encode()),
        a_control_record(2, key),
    ]
    junk = [key, b"\xc3\x01" + key, b"{" + key, requests[0][:40] + key, key * 100_000]
    return [
        *((key, value) for value in (*requests, *junk)),
        *((None, value) for value in (*controls, *junk)),
        *((key, value) for value in controls),
        (key, None),
    ]


def test_nothing_of_a_payload_or_a_key_is_logged_counted_or_shown(
    world: ProcessWorld, watched: Watched
) -> None:
    activate(world)
    wait_for(lambda: watched.ready()["ready"])
    headers = ((MARKER, MARKER.encode()),)
    values = hostile_values()
    world.publisher().publish(
        [OutputRecord(TOPICS.requests, 0, *value, headers) for value in values]
    )
    wait_for(lambda: watched.total("gate_decisions_total") >= len(values))
    pages = [watched.get(path)[1] for path in ("/metrics", "/readyz", "/livez")]
    said = watched.stop()

    assert said.count("control_refused") >= 10
    assert "reason=" in pages[0]
    assert [MARKER in text for text in (said, *pages)] == [False] * 4
    assert any(MARKER.encode() in (record.value or b"") for record in world.records(TOPICS.denied))


def test_a_thousand_connections_do_not_keep_a_gate_from_deciding(
    world: ProcessWorld, watched: Watched
) -> None:
    activate(world)
    wait_for(lambda: watched.ready()["ready"])
    over = threading.Event()
    attack = threading.Thread(target=_attack, args=(watched.port, over), daemon=True)
    attack.start()
    submit(world, 3_000)
    wait_for(lambda: len(world.records(TOPICS.approved)) == 3_000)
    assert watched.get("/livez")[0] == 200
    over.set()
    attack.join()
    wait_for(lambda: watched.ready()["ready"])
    assert subprocess.Popen.poll(watched.process) is None
    watched.stop()


def _attack(port: int, over: threading.Event) -> None:
    """Keep a thousand connections: half say nothing, half ask for metrics and never read."""
    held: list[socket.socket] = []
    while not over.is_set():
        with suppress(OSError):
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            held.append(client)
            if len(held) % 2:
                client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        while len(held) > 1_000:
            held.pop(0).close()
    for client in held:
        client.close()
