"""The report ends with the audit's line, gives real commands, and is safe on a terminal."""

import json
from dataclasses import replace
from pathlib import Path

from gate.demo.report import next_commands, text_of, values_of
from gate.demo.summary import ReasonCount
from tests.unit.demo.samples import a_summary


def test_the_last_line_is_the_audits() -> None:
    last = text_of(a_summary()).splitlines()[-1]
    assert last == "60 input records + 4 Genesis = 64 entries; 0 keys approved twice"


def test_outcomes_stand_against_what_the_bank_decided() -> None:
    lines = text_of(a_summary()).splitlines()
    rows = [line.split() for line in lines if line.startswith(("  the bank", "  all "))]
    assert rows == [
        ["the", "bank", "approved", "then", "2", "0", "0", "2"],
        ["the", "bank", "denied", "then", "0", "0", "1", "1"],
        ["all", "2", "0", "1", "3"],
    ]
    assert "  gate and bank agree on 3 of 3" in lines


def test_what_to_try_next_names_this_runs_files() -> None:
    summary = replace(a_summary(), folder=Path("/some where/run-1"))
    summary = replace(
        summary, evidence=replace(summary.evidence, file=summary.folder / "evidence" / "a.json")
    )
    text = text_of(summary)
    assert "  cd '/some where/run-1'\n" in text
    assert f"  gate verify evidence/a.json --key {'ab' * 32} --log acme.example/payments/\n" in text


def test_on_kafka_the_gates_name_and_the_brokers_stand_in_the_report() -> None:
    here, there = a_summary(), a_summary(kafka="broker:9092")
    named = "gate `payments` on Apache Kafka at broker:9092"
    assert (named in text_of(here), named in text_of(there)) == (False, True)
    assert ("log.sqlite" in text_of(here), "log.sqlite" in text_of(there)) == (True, False)
    assert set(next_commands(there)) - set(next_commands(here)) == {
        "topics check",
        "tail --from-beginning --count 3",
    }
    assert [(values_of(s)["gate"], values_of(s)["kafka"]) for s in (here, there)] == [
        ("payments", None),
        ("payments", "broker:9092"),
    ]


def test_failures_are_said() -> None:
    summary = a_summary(second={"approved_again": 1}, audited={"findings": ("leaf_twice: x",)})
    text = text_of(summary)
    assert "FAILED: nothing is approved by the second sending\n" in text
    assert "audit: leaf_twice: x\n" in text
    assert "FAILED" not in text_of(a_summary())


def test_outside_text_can_not_move_the_cursor() -> None:
    hostile = ReasonCount("forbidden", "\x1b[2Jrule", "a\u202eb", 1)
    text = text_of(a_summary(first={"reasons": (hostile,)}))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_values_are_json_and_say_whether_it_holds() -> None:
    values = json.loads(json.dumps(values_of(a_summary())))
    assert (values["ok"], values["failures"]) == (True, [])
    assert values["bank"] == {
        "approved": {"approved": 2, "needs a person": 0, "denied": 0},
        "denied": {"approved": 0, "needs a person": 0, "denied": 1},
    }
    assert values["speed"] == {
        "records": 1000,
        "transactions": 2,
        "elapsed_ms": 250,
        "per_second": 4000,
    }
    assert all(case["ok"] for case in values["planted"])
    failed = values_of(a_summary(second={"replayed": 1}))
    assert (failed["ok"], failed["failures"]) == (False, ["every key approved before is replayed"])
