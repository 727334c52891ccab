"""Builders for the demonstration: a desk with keys made from names, verdicts, a whole summary."""

from pathlib import Path

from gate.core.reasons import Code, Phase, Reason
from gate.core.values import APPROVED, DENIED, ENFORCED, Decision
from gate.demo.planted import CASES, Setting
from gate.demo.senders import Bureau, Desk
from gate.demo.sending import Place
from gate.demo.summary import (
    Audited,
    CaseResult,
    Evidence,
    FirstSending,
    ReasonCount,
    SecondSending,
    Speed,
    Summary,
    name_of,
)
from gate.demo.verdicts import Verdict
from tests.builders import AUDIENCE, DOMAIN, NOW_MS, KeySigner, a_key


def a_setting(partition_count: int = 4) -> Setting:
    return Setting(
        desk=Desk(
            audience=AUDIENCE,
            signer=KeySigner(a_key("requester")),
            bureau=Bureau(domain=DOMAIN, signer=KeySigner(a_key("bureau"))),
            now_ms=NOW_MS,
        ),
        stranger=KeySigner(a_key("stranger")),
        partition_count=partition_count,
    )


def a_verdict(code: Code, *, rule: str = "", message: str = "", more: tuple[Reason, ...] = ()):
    zeros = bytes(32)
    decision = Decision(
        mode=ENFORCED,
        domain=DOMAIN,
        gate="payments",
        input_topic="payments.requests.v1",
        input_partition=0,
        epoch=1,
        engine="gate-engine/1",
        trust_root_version=1,
        trust_root_sha256=zeros,
        policy_id="boston-mortgage",
        policy_version="1.0.0",
        policy_sequence=1,
        policy_sha256=zeros,
        input_offset=0,
        prev_input_offset=-1,
        input_time_ms=NOW_MS,
        input_sha256=zeros,
        ask_sha256=zeros,
        salt=bytes(16),
        request_id="r",
        actor="lending-desk",
        action="loan.approve",
        resource="application/APP-0001",
        correlation_id="",
        actor_verified=True,
        admission_key=b"k",
        outcome=APPROVED if code is Code.APPROVED else DENIED,
        reasons=(Reason(code, Phase.NONE, rule, "", message), *more),
        evaluated=(),
        approvals=(),
        constraints=(),
        first=None,
        expires_ms=None,
    )
    return Verdict("acme.example/payments/payments.requests.v1/0/1", 1, decision)


def a_summary(
    *,
    first: dict[str, object] | None = None,
    second: dict[str, int] | None = None,
    audited: dict[str, object] | None = None,
    kafka: str | None = None,
) -> Summary:
    """A demonstration in which everything came out as it must."""
    cases = tuple(
        CaseResult(case, Place(0, number), name_of(case.expected))
        for number, case in enumerate(CASES)
    )
    return Summary(
        folder=Path("/somewhere/run-1"),
        command="gate",
        gate="payments",
        kafka=kafka,
        applications=3,
        first=FirstSending(
            **{
                "policy": "boston-mortgage 1.0.0",
                "answers": {(False, "approved"): 2, (True, "denied"): 1},
                "reasons": (ReasonCount("forbidden", "too-dear", "Too dear.", 1),),
                "cases": cases,
                **(first or {}),
            }
        ),
        second=SecondSending(
            **{
                "sent": 3 + len(CASES),
                "approved_before": 2,
                "replayed": 2,
                "approved_again": 0,
                "answered_otherwise": 0,
                "cases_as_expected": len(CASES),
                "batch_records_max": 1,
                "committed_at_kill": 3,
                "decided_after_restart": len(CASES),
                **(second or {}),
            }
        ),
        speed=Speed(records=1_000, transactions=2, elapsed_ms=250),
        evidence=Evidence(
            file=Path("/somewhere/run-1/evidence/APP-0001.evidence.json"),
            decision="acme.example/payments/payments.requests.v1/0/1#1",
            request_id="req-APP-0001",
            public_key="ab" * 32,
            log_prefix="acme.example/payments/",
            result="SIGNED",
        ),
        audited=Audited(
            **{
                "input_records": 60,
                "genesis": 4,
                "entries": 64,
                "approved_keys": 2,
                "keys_approved_twice": 0,
                "findings": (),
                **(audited or {}),
            }
        ),
        elapsed_ms=12_345,
    )
