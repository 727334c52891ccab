"""The bad-input corpus: at least one record for each step and code of `bad-input.md` §1.

Each case is a record as it stands in the topic and the reasons that its entry must carry. The
setting is the one of `tests.worlds`: policy `loans` (see `tests.builders`) in force, key `L-TAKEN`
approved before with an amount of 15000.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gate.core.wire import encoder
from gate.core.wire.schemas import ACTION_REQUEST, ASK, header
from tests.builders import NOW_MS, a_key, a_request, a_statement

MINUTE = 60_000
DAY = 86_400_000


@dataclass(frozen=True)
class Case:
    """A record, and (code, rule, field) of each reason of its entry."""

    name: str
    key: bytes | None
    value: bytes | None
    reasons: tuple[tuple[str, str, str], ...]
    is_quarantined: bool = False


def _case(
    name: str,
    code: str,
    value: bytes | None,
    *,
    field: str = "",
    rule: str = "",
    key: bytes | None = b"L-1",
    quarantined: bool = False,
) -> Case:
    return Case(name, key, value, ((code, rule, field),), quarantined)


def _flipped(value: bytes, at: int) -> bytes:
    changed = bytearray(value)
    changed[at] ^= 1
    return bytes(changed)


def _parameters(**changes: object) -> dict[str, object]:
    parameters: dict[str, object] = {
        "applicant": "ann",
        "loan_amount": 15_000,
        "loan_id": "L-1",
        **changes,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def decode_cases() -> list[Case]:
    good = a_request()
    bad = "malformed"
    overlong = good[:10] + bytes([good[10] | 0x80, 0x00]) + good[11:]
    return [
        _case("null value", "empty", None),
        _case("empty value", "empty", b""),
        _case("64 KiB and one", "too_large", b"\x00" * 65_537, quarantined=True),
        _case("JSON", "framing_unknown", b'{"action": "loan.approve"}', quarantined=True),
        _case("Confluent framing", "framing_unknown", b"\x00\x00\x00\x00\x01x", quarantined=True),
        _case("two bytes", "framing_unknown", b"\xc3\x01", quarantined=True),
        _case("unknown schema", "schema_unknown", b"\xc3\x01" + b"\x07" * 8, quarantined=True),
        _case("another record", "schema_unknown", header(ASK) + good[10:], quarantined=True),
        _case("truncated", bad, good[:-1], field="signature", quarantined=True),
        _case("trailing byte", bad, good + b"\x00", quarantined=True),
        _case("overlong varint", bad, overlong, field="audience", quarantined=True),
        _case(
            "length of 2^62",
            bad,
            header(ACTION_REQUEST) + encoder.long(1 << 62),
            field="audience",
            quarantined=True,
        ),
        _case(
            "identifier of 257 bytes",
            "limit_exceeded",
            a_request(request_id="r" * 257),
            field="request_id",
            quarantined=True,
        ),
        _case(
            "17 attestations",
            "limit_exceeded",
            a_request(attestations=(a_statement({"x": 1}),) * 17),
            field="attestations",
            quarantined=True,
        ),
        _case(
            "key of 1025 bytes",
            "limit_exceeded",
            good,
            key=b"k" * 1025,
            field="key",
            quarantined=True,
        ),
        _case("control character", "invalid_field", a_request(actor="a\nb"), field="actor"),
        _case("bidi", "invalid_field", a_request(request_id="r\u202e1"), field="request_id"),
        _case("not NFC", "invalid_field", a_request(actor="e\u0301"), field="actor"),
        _case("action of capitals", "invalid_field", a_request(action="Loan"), field="action"),
        _case("another gate", "wrong_audience", a_request(audience="x/y"), field="audience"),
        Case(
            "two faulty fields",
            b"L-1",
            a_request(audience="x/y", actor=""),
            (("wrong_audience", "", "audience"), ("invalid_field", "", "actor")),
        ),
    ]


def admit_cases() -> list[Case]:
    return [
        _case("no policy", "no_policy", a_request(action="loan.cancel")),
        Case(
            "missing, invalid and undeclared",
            b"L-1",
            a_request(parameters=_parameters(applicant=None, loan_amount=0, zeal=1)),
            (
                ("parameter_missing", "", "applicant"),
                ("parameter_invalid", "", "loan_amount"),
                ("parameter_undeclared", "", "zeal"),
            ),
        ),
        _case(
            "a boolean for an integer",
            "parameter_invalid",
            a_request(parameters=_parameters(loan_amount=True)),
            field="loan_amount",
        ),
        _case(
            "NUL in a string",
            "parameter_invalid",
            a_request(parameters=_parameters(applicant="ann\0x")),
            field="applicant",
        ),
        _case(
            "another resource",
            "resource_mismatch",
            a_request(resource="loan/L-2"),
            field="resource",
        ),
        _case("another record key", "misrouted", a_request(), key=b"L-2"),
        _case("no record key", "misrouted", a_request(), key=None),
        _case(
            "too old",
            "stale",
            a_request(issued_at_ms=NOW_MS - 15 * MINUTE - 1),
            field="issued_at_ms",
        ),
        _case(
            "from the future",
            "from_future",
            a_request(issued_at_ms=NOW_MS + MINUTE + 1),
            field="issued_at_ms",
        ),
        _case("expired", "expired", a_request(expires_at_ms=NOW_MS), field="expires_at_ms"),
    ]


def verify_cases() -> list[Case]:
    def signals(*statements: object) -> bytes:
        return a_request(attestations=statements)

    score = {"credit_score": 720}
    forged = a_statement(score)
    forged = forged._replace(signature=_flipped(forged.signature, 7))
    good = a_request()
    score_is = "credit_score"
    return [
        _case("unsigned", "signature_missing", a_request(signer=None)),
        _case("unknown signer", "identity_unknown", a_request(signer="stranger")),
        _case("revoked signer", "identity_revoked", a_request(signer="revoked")),
        _case("wrong signature", "signature_invalid", _flipped(good, -1), quarantined=True),
        _case("replayed", "replayed", a_request(loan_id="L-TAKEN"), key=b"L-TAKEN"),
        _case(
            "conflict",
            "replay_conflict",
            a_request(loan_id="L-TAKEN", loan_amount=1),
            key=b"L-TAKEN",
            quarantined=True,
        ),
        _case("no statement", "signal_missing", signals(), field=score_is),
        _case("forged statement", "signal_invalid", signals(forged), field=score_is),
        _case(
            "statement of tomorrow",
            "signal_invalid",
            signals(a_statement(score, issued_ms=NOW_MS + MINUTE + 1)),
            field=score_is,
        ),
        _case(
            "statement for another domain",
            "signal_invalid",
            signals(a_statement(score, domain="other.example")),
            field=score_is,
        ),
        _case(
            "score as text",
            "signal_invalid",
            signals(a_statement({"credit_score": "720"})),
            field=score_is,
        ),
        _case(
            "self-attested",
            "signal_untrusted",
            signals(a_statement(score, signer="requester")),
            field=score_is,
        ),
        _case(
            "another issuer",
            "signal_untrusted",
            signals(a_statement(score, issuer="kyc-service", signer="kyc")),
            field=score_is,
        ),
        _case(
            "old statement",
            "signal_stale",
            signals(a_statement(score, issued_ms=NOW_MS - DAY - 1)),
            field=score_is,
        ),
        _case(
            "expired statement",
            "signal_stale",
            signals(a_statement(score, expires_ms=NOW_MS)),
            field=score_is,
        ),
        _case(
            "score of 851",
            "signal_out_of_bounds",
            signals(a_statement({"credit_score": 851})),
            field=score_is,
        ),
        _case(
            "another applicant's",
            "signal_wrong_subject",
            signals(a_statement(score, subject="bob")),
            field=score_is,
        ),
        _case(
            "two statements",
            "signal_ambiguous",
            signals(a_statement(score), a_statement({"credit_score": 721})),
            field=score_is,
        ),
        Case(
            "stale and another's",
            b"L-1",
            signals(a_statement(score, subject="bob", issued_ms=NOW_MS - DAY - 1)),
            (("signal_stale", "", score_is), ("signal_wrong_subject", "", score_is)),
        ),
    ]


def evaluate_cases() -> list[Case]:
    return [
        _case("a deny rule", "forbidden", a_request(loan_amount=50_001), rule="too-large"),
        _case("nothing allows", "no_permit", a_request(score=699)),
    ]


GROUPS: tuple[Callable[[], list[Case]], ...] = (
    decode_cases,
    admit_cases,
    verify_cases,
    evaluate_cases,
)


def all_cases() -> list[Case]:
    return [case for group in GROUPS for case in group()]


assert a_key("requester").id != a_key("stranger").id
