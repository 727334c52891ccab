"""`gate submit --wait` on a real broker: placed as the Java client would, answered, verified."""

import pytest

from gate.core.placement import partition_of
from tests.kafka.cli_gate import kafka_gate_folder, on_kafka, running_on_kafka, unique
from tests.unit.cli.harness import ISSUERS, Shell

__all__ = ["kafka_gate_folder", "on_kafka", "running_on_kafka"]

SIGNED = ("--key", "keys/requester.key", *ISSUERS)


def request(shell: Shell, loan_id: str, name: str = "loan.json", **changes: object) -> str:
    return shell.request(
        name, resource=f"loan/{loan_id}", parameters={"loan_id": loan_id}, **changes
    )


def test_many_files_are_placed_answered_and_verified_in_order(running_on_kafka: Shell) -> None:
    shell = running_on_kafka
    loans = [unique("L") for _ in range(20)]
    files = [request(shell, loan, f"{n}.json") for n, loan in enumerate(loans)]
    ended = shell("submit", *files, *SIGNED, "--wait", "30", "--output", "json")
    placed, answers = ended.json()[:20], ended.json()[20:]

    assert ended.code == 0
    assert [item["partition"] for item in placed] == [partition_of(b.encode(), 6) for b in loans]
    assert [item["request_id"] for item in answers] == [item["request_id"] for item in placed]
    assert {(item["outcome"], item["verified"]) for item in answers} == {("approved", "signed")}

    again = shell("submit", *files[:2], *SIGNED, "--wait", "30", "--output", "json")
    codes = [item["reasons"][0]["code"] for item in again.json()[2:]]
    assert (again.code, codes) == (1, ["replayed", "replayed"])


def test_a_policy_file_needs_nothing_that_is_in_force(running_on_kafka: Shell) -> None:
    shell = running_on_kafka
    policy = ("--policy", "policies/loan-approval.policy.yaml")
    ended = shell("submit", request(shell, unique("L")), *SIGNED, *policy, "--wait", "30")
    assert (ended.code, "APPROVED" in ended.out) == (0, True)


def test_without_a_gate_the_wait_ends_and_says_what_to_do(on_kafka: Shell) -> None:
    ended = on_kafka("submit", request(on_kafka, unique("L")), *SIGNED, "--wait", "1")
    assert ended.code == 4
    assert "1 without an answer yet: is the gate running?" in ended.err
    assert "do not submit it again" in ended.err


@pytest.mark.slow
def test_a_broker_that_is_not_there_is_told(on_kafka: Shell) -> None:
    config = on_kafka.folder / "nowhere.toml"
    text = (on_kafka.folder / "gate.toml").read_text()
    lines = [
        '"bootstrap.servers" = "127.0.0.1:9"' if "bootstrap.servers" in line else line
        for line in text.splitlines()
    ]
    config.write_text("\n".join(lines) + "\n")
    ended = on_kafka("submit", request(on_kafka, "L-1"), *SIGNED, "--config", config)
    assert (ended.code, ended.out) == (4, "")
    assert "127.0.0.1:9" in ended.err
