"""Signals: from attested claims to verified signals. Step 8 of `design/bad-input.md` §1.

Only statements that carry a signal which the policy declares are looked at, at most one signature
check each, in request order, stopping at the first bad signature: junk costs little.
Two statements for one signal are ambiguous, whoever signed them: the gate never picks one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from gate.core import dsse
from gate.core.limits import CLOCK_AHEAD_MS_MAX
from gate.core.policy.compiled import Policy, SignalDeclaration
from gate.core.reasons import Code, Phase, Reason
from gate.core.signature import PublicKey
from gate.core.trust import KeyRefusal
from gate.core.values import Attestation, Evaluated, SignalStatement, Value
from gate.core.wire.reader import WireError
from gate.core.wire.statement import read_statement

_NO_SIGNALS: tuple[dict[str, Value], tuple[Evaluated, ...], tuple[Reason, ...]] = ({}, (), ())


class IssuerTrust(Protocol):
    """Whose statements count: a trust root, or what a policy author assumes in a test case."""

    def issuer_key(self, key_id: str, issuer: str, signal: str) -> "PublicKey | KeyRefusal":
        """Return the key if it is listed and active for this issuer and signal."""


class VerifiedSignals(NamedTuple):
    """The signals that passed, as policy inputs and as they stand in the entry; or why not."""

    inputs: Mapping[str, Value]
    evaluated: tuple[Evaluated, ...]
    reasons: tuple[Reason, ...]


class _Candidate(NamedTuple):
    """A readable statement with the declared signals that only it carries."""

    attestation: Attestation
    statement: SignalStatement
    carried: tuple[tuple[SignalDeclaration, Value], ...]


def verify_signals(
    attestations: Sequence[Attestation],
    *,
    policy: Policy,
    trust: IssuerTrust,
    domain: str,
    inputs: Mapping[str, Value],
    append_time_ms: int,
) -> VerifiedSignals:
    """Verify what the policy declares; `inputs` holds the parameters that subjects refer to.

    Findings are sorted by signal, then by code; all of them are given unless a bad signature ended
    the step.
    """
    if not policy.signals:
        return VerifiedSignals(*_NO_SIGNALS)
    candidates, reasons = _assign(attestations, policy.signals)
    values: dict[str, Value] = {}
    evaluated: list[Evaluated] = []
    bad_signature = False
    for candidate in candidates:
        codes, bad_signature = _judge(candidate, policy, trust, domain, inputs, append_time_ms)
        reasons += [Reason(code, Phase.VERIFY, field=name) for name, code in codes]
        refused = {name for name, _ in codes}
        digest = hashlib.sha256(candidate.attestation.statement).digest()
        for declaration, value in candidate.carried:
            if declaration.name not in refused:
                name = "signal." + declaration.name
                values[name] = value
                evaluated.append(
                    Evaluated(
                        name,
                        candidate.statement.issuer,
                        value,
                        candidate.attestation.key_id,
                        digest,
                        candidate.statement.issued_ms,
                    )
                )
        if bad_signature:
            break
    if not bad_signature:
        _fill_defaults(policy.signals, values, evaluated, reasons)
    evaluated.sort(key=lambda item: item.name)
    reasons.sort(key=lambda reason: (reason.field, reason.code))
    return VerifiedSignals(values, tuple(evaluated), tuple(reasons))


def _assign(
    attestations: Sequence[Attestation], declared: Sequence[SignalDeclaration]
) -> tuple[list[_Candidate], list[Reason]]:
    """Read the statements and say which one carries each declared signal."""
    readable: list[tuple[Attestation, SignalStatement]] = []
    for attestation in attestations:
        try:
            readable.append((attestation, read_statement(attestation.statement)))
        except WireError:
            continue  # not a statement: what it may have carried counts as missing
    carriers: dict[str, int] = {}
    for _, statement in readable:
        for name, _ in statement.signals:
            carriers[name] = carriers.get(name, 0) + 1
    by_name = {declaration.name: declaration for declaration in declared}
    reasons = [
        Reason(Code.SIGNAL_AMBIGUOUS, Phase.VERIFY, field=name)
        for name in by_name
        if carriers.get(name, 0) > 1
    ]
    candidates = []
    for attestation, statement in readable:
        carried = tuple(
            (by_name[name], value)
            for name, value in statement.signals
            if name in by_name and carriers[name] == 1
        )
        if carried:
            candidates.append(_Candidate(attestation, statement, carried))
    return candidates, reasons


def _judge(
    candidate: _Candidate,
    policy: Policy,
    trust: IssuerTrust,
    domain: str,
    inputs: Mapping[str, Value],
    append_time_ms: int,
) -> tuple[list[tuple[str, Code]], bool]:
    """Return (signal, code) findings of one statement, and whether its signature was bad."""
    attestation, statement, carried = candidate
    findings: list[tuple[str, Code]] = []
    public: PublicKey | None = None
    for declaration, _ in carried:
        key = trust.issuer_key(attestation.key_id, statement.issuer, declaration.name)
        if statement.issuer not in declaration.issuers or isinstance(key, KeyRefusal):
            findings.append((declaration.name, Code.SIGNAL_UNTRUSTED))
        else:
            public = key
    if public is None:
        return findings, False
    untrusted = {name for name, _ in findings}
    trusted = [item for item in carried if item[0].name not in untrusted]
    signed = dsse.pae(dsse.SIGNAL, attestation.statement)
    if not public.verify(signed, attestation.signature):
        return findings + [(d.name, Code.SIGNAL_INVALID) for d, _ in trusted], True
    for declaration, value in trusted:
        findings += [
            (declaration.name, code)
            for code in _claims(
                declaration, value, statement, policy, domain, inputs, append_time_ms
            )
        ]
    return findings, False


def _claims(
    declaration: SignalDeclaration,
    value: Value,
    statement: SignalStatement,
    policy: Policy,
    domain: str,
    inputs: Mapping[str, Value],
    append_time_ms: int,
) -> list[Code]:
    """Judge one signal of a statement whose signature holds."""
    codes = []
    if statement.domain != domain or statement.issued_ms > append_time_ms + CLOCK_AHEAD_MS_MAX:
        codes.append(Code.SIGNAL_INVALID)
    age_ms = append_time_ms - statement.issued_ms
    if age_ms > declaration.max_age_ms or append_time_ms >= statement.expires_ms:
        codes.append(Code.SIGNAL_STALE)
    finding = policy.check_signal(declaration.name, value)
    if finding is not None and finding not in codes:
        codes.append(finding)
    subject = inputs.get("request." + declaration.subject)
    if statement.subject_type != declaration.subject or statement.subject != subject:
        codes.append(Code.SIGNAL_WRONG_SUBJECT)
    return codes


def _fill_defaults(
    declared: Sequence[SignalDeclaration],
    values: dict[str, Value],
    evaluated: list[Evaluated],
    reasons: list[Reason],
) -> None:
    """Complete what no statement carried: the default, or a finding."""
    refused = {reason.field for reason in reasons}
    for declaration in declared:
        name = "signal." + declaration.name
        if name in values or declaration.name in refused:
            continue
        if declaration.has_default:
            assert declaration.default is not None
            values[name] = declaration.default
            evaluated.append(Evaluated(name, "default", declaration.default))
        else:
            reasons.append(Reason(Code.SIGNAL_MISSING, Phase.VERIFY, field=declaration.name))
