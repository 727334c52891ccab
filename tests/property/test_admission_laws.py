"""Laws of admission: random policies, requests and statements against a second judge.

The fold of `tests.determinism` decides; `should_approve` says, from what a test knows of a request
and never from its bytes, whether an approval is permitted.
"""

import base64
import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gate.core import dsse, jcs
from gate.core.proof.meaning import contradiction
from gate.core.reasons import Code
from gate.core.values import APPROVED, Attestation, Decision, Value
from gate.core.wire.control_record import read_control_record
from gate.core.wire.entry import read_entry
from gate.core.wire.schemas import ALL, header
from gate.ports import LogRecord
from tests.builders import (
    DOMAIN,
    NOW_MS,
    a_bundle,
    a_control_record,
    a_request,
    a_root_envelope,
    a_root_payload,
    a_statement,
    an_activation,
    an_envelope,
    digest_of,
    loan_partition,
)
from tests.determinism import PARTITIONS, TOPIC_ID, Line

PARTITION = 0
KEYS = [f"T-{n}" for n in range(40) if loan_partition(f"T-{n}", PARTITIONS) == PARTITION][:4]
ACTION = "thing.do"
MINUTE_MS = 60_000

SOURCE = """\
format: gate-policy/1
policy: things
version: 1.0.{sequence}
sequence: {sequence}
owner: somebody@acme.example
governs: [thing.do]
valid: {{from: "2026-01-01T00:00:00Z", until: "{until}"}}
requester: {requester}
window: {{max_age: 15m, max_ahead: 60s}}
resource: "thing/{{request.id}}"
key: {{space: things, generation: 1, parts: [request.id]}}
request:
  id: {{type: string, max_len: 8, chars: "A-Z0-9-"}}
  who: {{type: string, max_len: 8}}
  amount: {{type: int, min: 0, max: 100}}
  country: {{type: enum, values: [DE, FR, KP]}}
  urgent: {{type: bool, default: false}}
{signals}rules:
{rules}constraints:
  valid_for: 15m
  most: {{type: int, min: 1, max: {most}, expr: request.amount}}
"""
SIGNALS = {
    "score": "  score: {type: int, min: 0, max: 100, issuers: [credit-bureau], "
    "subject: request.who, max_age: 24h}\n",
    "kyc_passed": "  kyc_passed: {type: bool, default: false, issuers: [kyc-service], "
    "subject: request.who, max_age: 24h}\n",
}
SIGNERS = {"score": ("credit-bureau", "bureau"), "kyc_passed": ("kyc-service", "kyc")}

Inputs = dict[str, Value]


@dataclass(frozen=True)
class Rule:
    """A rule twice: as an author writes it, and for the second judge, who may raise."""

    id: str
    effect: str
    cel: str
    holds: Callable[[Inputs], bool]


RULES = (
    Rule("small", "allow", "request.amount <= 40", lambda x: x["amount"] <= 40),
    Rule("urgent", "allow", "request.urgent", lambda x: x["urgent"]),
    Rule("any", "allow", "request.amount >= 0", lambda x: True),
    Rule(
        "odd", "allow", "1 / (request.amount - 7) == 0", lambda x: int(1 / (x["amount"] - 7)) == 0
    ),
    Rule("sanction", "deny", 'request.country == "KP"', lambda x: x["country"] == "KP"),
    Rule("large", "deny", "request.amount > 90", lambda x: x["amount"] > 90),
    Rule("zero", "deny", "100 / request.amount > 50", lambda x: 100 // x["amount"] > 50),
    Rule("officer", "require_approval", "request.amount > 70", lambda x: x["amount"] > 70),
    Rule("scored", "allow", "signal.score >= 50", lambda x: x["score"] >= 50),
    Rule("low", "deny", "signal.score < 20", lambda x: x["score"] < 20),
    Rule("unknown", "deny", "!signal.kyc_passed", lambda x: not x["kyc_passed"]),
)


@dataclass(frozen=True)
class Terms:
    """A policy of the generator."""

    rules: tuple[Rule, ...]
    signals: tuple[str, ...] = ()
    requester: str = "open"
    most: int = 100
    until: str = "2031-01-01T00:00:00Z"
    sequence: int = 1

    def bundle(self, previous: str | None = None) -> bytes:
        written = ""
        for rule in self.rules:
            written += f"  - id: {rule.id}\n    {rule.effect}: '{rule.cel}'\n"
            if rule.effect != "allow":
                written += "    message: It is so.\n"
            if rule.effect == "require_approval":
                written += "    approval: {role: officer, count: 1, max_age: 72h}\n"
        source = SOURCE.format(
            sequence=self.sequence,
            until=self.until,
            requester=self.requester,
            signals="".join(["signals:\n", *map(SIGNALS.get, self.signals)] * bool(self.signals)),
            rules=written,
            most=self.most,
        )
        return a_bundle(source=source, previous=previous)


@dataclass(frozen=True)
class Claim:
    """A statement, `fault` says what is wrong with it; empty: nothing."""

    name: str
    value: Value
    fault: str = ""

    def attestation(self) -> Attestation:
        issuer, signer = SIGNERS[self.name]
        value = {"bounds": -1, "type": "x"}.get(self.fault, self.value)
        made = a_statement(
            {self.name: value},
            subject="bob" if self.fault == "subject" else "ann",
            subject_type="id" if self.fault == "subject type" else "who",
            issuer="somebody" if self.fault == "issuer" else issuer,
            domain="other.example" if self.fault == "domain" else DOMAIN,
            issued_ms=NOW_MS + {"stale": -86_400_001, "future": 60_001}.get(self.fault, -1),
            expires_ms=NOW_MS + (0 if self.fault == "expired" else 1),
            signer="nobody" if self.fault == "signer" else signer,
        )
        if self.fault == "signature":
            return made._replace(signature=made.signature[:-1] + b"\x00")
        return made


FAULTS = [
    *("subject", "subject type", "issuer", "domain", "stale", "future", "expired"),
    *("signer", "signature", "type"),
]


@dataclass(frozen=True)
class Request:
    """What a test knows of a request."""

    key: str = KEYS[0]
    amount: int = 30
    country: str = "DE"
    urgent: bool | None = None
    extra: bool = False
    resource: str = ""
    age_ms: int = 0
    expires_in_ms: int | None = None
    signer: str | None = "requester"
    is_tampered: bool = False
    claims: tuple[Claim, ...] = ()
    junk: tuple[tuple[int, Attestation], ...] = ()

    def record(self, offset: int) -> LogRecord:
        attestations = [claim.attestation() for claim in self.claims]
        for place, attestation in self.junk:
            attestations.insert(place, attestation)
        parameters: Inputs = {
            "id": self.key,
            "who": "ann",
            "amount": self.amount,
            "country": self.country,
            **({} if self.urgent is None else {"urgent": self.urgent}),
            **({"zzz": 1} if self.extra else {}),
        }
        value = a_request(
            request_id=f"r-{offset}",
            action=ACTION,
            resource=self.resource or f"thing/{self.key}",
            parameters=parameters,
            attestations=tuple(attestations),
            issued_at_ms=NOW_MS - self.age_ms,
            expires_at_ms=None if self.expires_in_ms is None else NOW_MS + self.expires_in_ms,
            signer=self.signer,
        )
        if self.is_tampered and self.signer:
            value = value[:-1] + bytes([value[-1] ^ 1])
        return LogRecord(PARTITION, offset, NOW_MS, True, self.key.encode(), value)


def should_approve(terms: Terms, request: Request, taken: set[str]) -> bool:
    """The second judge."""
    inputs: Inputs = {
        "amount": request.amount,
        "country": request.country,
        "urgent": bool(request.urgent),
    }
    for name in terms.signals:
        claims = [claim for claim in request.claims if claim.name == name]
        if len(claims) > 1 or any(claim.fault for claim in claims):
            return False
        if not claims and name != "kyc_passed":
            return False
        inputs[name] = claims[0].value if claims else False
    is_well_formed = (
        0 <= request.amount <= 100
        and request.country in {"DE", "FR", "KP"}
        and not request.extra
        and not request.resource
        and -MINUTE_MS <= request.age_ms <= 15 * MINUTE_MS
        and (request.expires_in_ms is None or request.expires_in_ms > 0)
        and (
            terms.requester == "open" or (request.signer == "requester" and not request.is_tampered)
        )
    )
    if not is_well_formed or request.key in taken:
        return False
    try:
        fired = dict.fromkeys(("allow", "deny", "require_approval"), False)
        for rule in terms.rules:
            fired[rule.effect] |= rule.holds(inputs)
    except ZeroDivisionError:
        return False
    permitted = fired["allow"] and not fired["deny"] and not fired["require_approval"]
    return permitted and 1 <= request.amount <= terms.most


@st.composite
def some_terms(draw: st.DrawFn) -> Terms:
    signals = draw(st.sampled_from([(), ("score",), ("score", "kyc_passed")]))
    usable = [
        rule
        for rule in RULES
        if all(name in signals or f"signal.{name}" not in rule.cel for name in SIGNALS)
    ]
    chosen = draw(st.lists(st.sampled_from(usable), unique=True, max_size=5))
    if not any(rule.effect == "allow" for rule in chosen):
        chosen.insert(draw(st.integers(0, len(chosen))), RULES[draw(st.integers(0, 3))])
    asks_people = any(rule.effect == "require_approval" for rule in chosen)
    return Terms(
        tuple(chosen),
        signals,
        "signed" if asks_people else draw(st.sampled_from(["open", "signed"])),
        draw(st.sampled_from([100, 35])),
        draw(st.sampled_from(["2031-01-01T00:00:00Z", "2026-06-01T12:05:00Z"])),
    )


@st.composite
def some_requests(draw: st.DrawFn) -> Request:
    """Mostly good in all, so that approvals are common; else with one or two things wrong."""
    good = Request(
        key=draw(st.sampled_from(KEYS)),
        amount=draw(st.sampled_from([30, 1, 7, 8, 35, 36, 40, 41, 70, 71, 90, 91, 100])),
        urgent=draw(st.sampled_from([None, False, True])),
        claims=(
            Claim("score", draw(st.sampled_from([60, 50, 49, 20, 19]))),
            Claim("kyc_passed", draw(st.sampled_from([True, True, False]))),
        ),
    )
    claims = good.claims
    wrong = {
        "amount": st.sampled_from([-1, 0, 101, 2**63 - 1]),
        "country": st.sampled_from(["KP", "XX", ""]),
        "extra": st.just(True),
        "resource": st.sampled_from(["thing/", "thing/T-99"]),
        "age_ms": st.sampled_from([15 * MINUTE_MS, 15 * MINUTE_MS + 1, -MINUTE_MS, -MINUTE_MS - 1]),
        "expires_in_ms": st.sampled_from([1, 0, -1, 10**9]),
        "signer": st.sampled_from([None, "revoked", "nobody", "bureau"]),
        "is_tampered": st.just(True),
        "claims": st.one_of(
            st.sampled_from([(), claims[:1], claims[1:], claims + claims[:1]]),
            st.sampled_from(FAULTS).map(lambda fault: (replace(claims[0], fault=fault), claims[1])),
            st.sampled_from(FAULTS).map(lambda fault: (claims[0], replace(claims[1], fault=fault))),
            st.sampled_from(FAULTS).map(lambda fault: (*claims, replace(claims[0], fault=fault))),
            st.just((replace(claims[0], fault="bounds"), claims[1])),
        ),
    }
    names = draw(st.lists(st.sampled_from(sorted(wrong)), unique=True, max_size=2))
    return replace(good, **{name: draw(wrong[name]) for name in names})


JUNK = st.one_of(
    st.builds(
        Attestation, st.binary(max_size=40), st.just("00" * 16), st.binary(min_size=64, max_size=64)
    ),
    st.sampled_from(
        [
            Claim(name, value, fault).attestation()
            for name, value in (("score", 99), ("kyc_passed", True))
            for fault in ("signer", "signature", "subject", "domain", "stale", "issuer")
        ]
    ),
    st.just(a_statement({"other": 1}, subject_type="who")),
)
LAW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def begun(terms: Terms) -> Line:
    """A partition in which the policy is in force."""
    line = Line(PARTITION)
    record = an_activation(terms.bundle(), topic_id=TOPIC_ID)
    line.decide([LogRecord(PARTITION, 0, NOW_MS, True, None, record)])
    assert len(line.standing.control.in_force) == 1
    return line


def decided(line: Line, records: Sequence[LogRecord]) -> list[Decision]:
    """Decide one record at a time; every entry must be one that the verifier believes."""
    found = []
    for record in records:
        line.decide([record])
        entry = read_entry(line.leaves[-1])
        assert contradiction(entry, line.place.origin, len(line.leaves) - 1) is None
        if isinstance(entry, Decision):
            assert entry.input_offset == record.offset
            found.append(entry)
    return found


def codes(decision: Decision) -> list[Code]:
    return sorted(reason.code for reason in decision.reasons)


@given(some_terms(), st.lists(some_requests(), min_size=1, max_size=6))
@LAW
def test_approves_exactly_what_rules_inputs_and_history_permit(terms, requests):
    line, taken = begun(terms), set()
    for offset, request in enumerate(requests, 1):
        (decision,) = decided(line, [request.record(offset)])
        expected = should_approve(terms, request, taken)
        assert (decision.outcome == APPROVED) == expected, decision.reasons
        if expected:
            taken.add(request.key)


@given(some_terms(), st.lists(some_requests(), min_size=1, max_size=6))
@LAW
def test_an_approval_ends_at_the_earliest_of_its_times_and_keeps_its_bounds(terms, requests):
    until_ms = NOW_MS + 5 * MINUTE_MS if terms.until.startswith("2026") else NOW_MS + 10**12
    found = decided(begun(terms), [r.record(n) for n, r in enumerate(requests, 1)])
    for decision, request in zip(found, requests, strict=True):
        if decision.outcome == APPROVED:
            stated_ms = (
                until_ms if request.expires_in_ms is None else request.expires_in_ms + NOW_MS
            )
            assert decision.expires_ms == min(NOW_MS + 15 * MINUTE_MS, until_ms, stated_ms)
            assert decision.expires_ms > NOW_MS
            assert decision.constraints == (("most", request.amount),)
            assert 1 <= request.amount <= terms.most
        else:
            assert (decision.expires_ms, decision.constraints) == (None, ())


STRICT = Terms((RULES[4], RULES[9], RULES[10], RULES[2]), ("score", "kyc_passed"), "signed")
GOOD = Request(claims=(Claim("score", 60), Claim("kyc_passed", True)))
WRONG = [
    *({"amount": amount} for amount in (-1, 0, 101, 2**63 - 1, -(2**63))),
    *({"country": country} for country in ("KP", "XX", "", "de")),
    *({"age_ms": age_ms} for age_ms in (15 * MINUTE_MS + 1, -MINUTE_MS - 1, 2**62, -(2**62))),
    *({"expires_in_ms": left_ms} for left_ms in (0, -1, -NOW_MS, -(2**62))),
    *({"signer": signer} for signer in (None, "revoked", "nobody", "bureau")),
    {"is_tampered": True},
    {"extra": True},
    {"resource": "thing/"},
    {"claims": ()},
    *({"claims": (*GOOD.claims[:1], Claim("kyc_passed", value))} for value in (False, 1, "x")),
    *({"claims": (replace(GOOD.claims[0], fault=f), GOOD.claims[1])} for f in (*FAULTS, "bounds")),
    *({"claims": (GOOD.claims[0], replace(GOOD.claims[1], fault=fault))} for fault in FAULTS),
    *({"claims": (*GOOD.claims, replace(GOOD.claims[0], fault=f))} for f in ("", *FAULTS)),
]


def test_each_single_fault_of_a_good_request_denies_it_and_takes_no_key():
    line = begun(STRICT)
    for offset, wrong in enumerate(WRONG, 1):
        (decision,) = decided(line, [replace(GOOD, **wrong).record(offset)])
        assert decision.outcome != APPROVED, wrong
    for offset, key, left_ms, expires_ms in (
        (100, KEYS[0], 1, NOW_MS + 1),
        (101, KEYS[1], None, NOW_MS + 15 * MINUTE_MS),
        (102, KEYS[2], 10**9, NOW_MS + 15 * MINUTE_MS),
    ):
        (decision,) = decided(line, [replace(GOOD, key=key, expires_in_ms=left_ms).record(offset)])
        assert (decision.outcome, decision.expires_ms) == (APPROVED, expires_ms)


@given(some_terms(), some_requests(), st.integers(0, 5))
@LAW
def test_a_forbid_is_never_outvoted(terms, request, place):
    forbid = Rule("never", "deny", "request.amount >= 0", lambda x: True)
    allows = tuple(rule for rule in RULES[:3] if rule not in terms.rules)
    rules = (*terms.rules[:place], forbid, *terms.rules[place:], *allows)
    (decision,) = decided(begun(replace(terms, rules=rules)), [request.record(1)])
    assert decision.outcome != APPROVED
    if Code.FORBIDDEN in codes(decision):
        assert "never" in [reason.rule for reason in decision.reasons]


@given(
    some_terms(),
    some_requests(),
    st.lists(st.tuples(st.integers(0, 4), JUNK), min_size=1, max_size=4),
)
@LAW
def test_junk_attestations_never_turn_a_denial_into_an_approval(terms, request, junk):
    line = begun(terms)
    (with_junk,) = decided(line, [replace(request, junk=tuple(junk)).record(1)])
    (without,) = decided(begun(terms), [request.record(1)])
    assert without.outcome == APPROVED or with_junk.outcome != APPROVED


@given(some_terms(), some_requests(), st.randoms(use_true_random=False))
@LAW
def test_the_outcome_does_not_depend_on_the_order_of_rules(terms, request, chance):
    shuffled = list(terms.rules)
    chance.shuffle(shuffled)
    (one,) = decided(begun(terms), [request.record(1)])
    (other,) = decided(begun(replace(terms, rules=tuple(shuffled))), [request.record(1)])
    assert (one.outcome, codes(one)) == (other.outcome, codes(other))
    assert {r.rule for r in one.reasons if r.code is not Code.APPROVED} == {
        r.rule for r in other.reasons if r.code is not Code.APPROVED
    }


@given(some_terms(), some_terms(), st.lists(some_requests(), min_size=1, max_size=5))
@LAW
def test_a_key_once_approved_is_never_approved_again_under_any_later_policy(
    first, second, requests
):
    line = begun(first)
    approved = {
        d.resource
        for d in decided(line, [r.record(n) for n, r in enumerate(requests, 1)])
        if d.outcome == APPROVED
    }
    before = first.bundle()
    after = replace(second, sequence=2).bundle(previous=digest_of(before))
    activation = an_activation(
        after, topic_id=TOPIC_ID, activation_sequence=2, previous=digest_of(before)
    )
    line.decide([LogRecord(PARTITION, 100, NOW_MS, True, None, activation)])
    assert line.standing.control.in_force["things"].bundle.sequence == 2
    for decision in decided(line, [r.record(n) for n, r in enumerate(requests, 101)]):
        assert decision.outcome != APPROVED or decision.resource not in approved


BYTES = st.one_of(
    st.none(),
    st.binary(max_size=80),
    st.builds(bytes.__add__, st.sampled_from([header(s) for s in ALL]), st.binary(max_size=80)),
    st.builds(
        lambda whole, at, by: whole[: at % len(whole)] + by + whole[at % len(whole) + len(by) :],
        st.sampled_from(
            [
                Request().record(1).value,
                an_activation(Terms(RULES[:1]).bundle(), topic_id=TOPIC_ID),
                a_control_record(1, a_root_envelope()),
            ]
        ),
        st.integers(0, 10_000),
        st.binary(max_size=3),
    ),
)
TIMES = st.one_of(st.just(NOW_MS), st.sampled_from([0, 1, 253_402_300_800_000, 2**63 - 1]))
RECORDS = st.lists(
    st.one_of(
        st.sampled_from([GOOD.record(1), replace(GOOD, amount=31).record(1)]),
        some_requests().map(lambda request: request.record(1)),
        st.builds(
            LogRecord,
            st.just(PARTITION),
            st.just(1),
            TIMES,
            st.just(True),
            st.one_of(st.none(), st.sampled_from([key.encode() for key in KEYS]), st.binary()),
            BYTES,
        ),
    ),
    min_size=1,
    max_size=9,
)


@given(some_terms(), RECORDS)
@LAW
def test_any_bytes_end_in_exactly_one_entry_and_an_approval_is_only_of_a_request(terms, records):
    line = begun(terms)
    for offset, record in enumerate(records, 1):
        before = len(line.leaves)
        for decision in decided(line, [record._replace(offset=offset)]):
            assert decision.outcome != APPROVED or decision.action == ACTION
        assert len(line.leaves) == before + 1


@given(some_terms(), RECORDS, st.lists(st.integers(1, 4), max_size=9))
@LAW
def test_deciding_again_in_any_cut_gives_the_same_bytes(terms, records, cuts):
    numbered = [record._replace(offset=offset) for offset, record in enumerate(records, 1)]
    one_by_one, cut = begun(terms), begun(terms)
    decided(one_by_one, numbered)
    for batch in _cut(numbered, cuts):
        cut.decide(batch)
    assert cut.leaves == one_by_one.leaves
    assert cut.standing == one_by_one.standing
    assert cut.taken == one_by_one.taken


def _cut(records: Sequence[LogRecord], cuts: Sequence[int]) -> Iterator[list[LogRecord]]:
    """Batches of these sizes, then of one; a control record ends its batch."""
    sizes = [*cuts, *[1] * len(records)]
    batch: list[LogRecord] = []
    for record in records:
        batch.append(record)
        is_control = (record.value or b"").startswith(a_control_record(0, b"")[:10])
        if is_control or len(batch) >= sizes[0]:
            yield batch
            batch = []
            sizes.pop(0)
    if batch:
        yield batch


def _paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    steps = {dict: dict.items, list: enumerate}.get(type(value), lambda _: ())
    for step, item in steps(value):
        yield from _paths(item, (*path, step))


def _put(whole: object, path: Sequence[str | int], node: object) -> object:
    if not path:
        return node
    changed = copy.deepcopy(whole)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = node
    return changed


ENVELOPE = json.loads(
    read_control_record(an_activation(Terms(RULES[:1]).bundle(), topic_id=TOPIC_ID)).envelope
)
ACTIVATION = json.loads(base64.b64decode(ENVELOPE["payload"]))
ROOT = json.loads(a_root_payload(version=2, previous="00" * 32))
NODES = st.sampled_from(
    [None, True, -1, 2**53 - 1, "", "a", "9" * 19, "٣", [], {}, [[]], ["a"], {"a": 1}]
)


def _unsigned(path: Sequence[str | int], node: object) -> bytes:
    payload = jcs.canonical(_put(ACTIVATION, path, node))
    return a_control_record(2, an_envelope(dsse.ACTIVATION, payload, "nobody"))


CONTROL = st.one_of(
    st.tuples(st.sampled_from(list(_paths(ENVELOPE))), NODES).map(
        lambda change: a_control_record(2, jcs.canonical(_put(ENVELOPE, *change)))
    ),
    st.builds(_unsigned, st.sampled_from(list(_paths(ACTIVATION))), NODES),
    st.tuples(st.sampled_from(list(_paths(ROOT))), NODES).map(
        lambda change: a_control_record(
            1, an_envelope(dsse.TRUST_ROOT, jcs.canonical(_put(ROOT, *change)), "nobody")
        )
    ),
)


@given(CONTROL)
@example(_unsigned(("mode",), []))
@example(_unsigned(("mode",), {}))
@settings(LAW, max_examples=150)
def test_a_control_record_that_nobody_signed_is_refused_whatever_its_json_holds(value):
    line = Line(PARTITION)
    (decision,) = decided(line, [LogRecord(PARTITION, 1, NOW_MS, True, None, value)])
    assert codes(decision) == [Code.CONTROL_REJECTED]
    assert line.standing.control.policies == {}
