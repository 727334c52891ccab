"""What an entry's fields must say about one another, and about the lineage they stand in.

Promises: an entry that the gate's own rules can not have produced is named as such, however well
it is signed. Rules: `design/decision.md` §1 and `design/bad-input.md` §1.

Leaves to others: whether the bytes are canonical and signed (`verify`), and whether deciding
again gives the same answer.
"""

from functools import lru_cache

from gate.core.limits import REASONS_MAX
from gate.core.proof.checkpoint import CheckpointInvalid, origin
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import (
    APPROVED,
    CONTROL_NONE,
    CONTROL_TRUST_ROOT,
    ENFORCED,
    Control,
    Decision,
    Entry,
    Gap,
    Genesis,
)

_DECODE = (Phase.DECODE,)
_POLICY = (Phase.POLICY,)
_ADMIT = (Phase.ADMIT,)
_VERIFY = (Phase.VERIFY,)
_REPLAY = (Phase.REPLAY,)
_EVALUATE = (Phase.EVALUATE,)
_PHASES: dict[Code, tuple[Phase, ...]] = {
    Code.CONTROL_REJECTED: (Phase.CONTROL,),
    Code.EMPTY: _DECODE,
    Code.TOO_LARGE: (Phase.DECODE, Phase.ENCODE),
    Code.FRAMING_UNKNOWN: _DECODE,
    Code.SCHEMA_UNKNOWN: _DECODE,
    Code.MALFORMED: _DECODE,
    Code.LIMIT_EXCEEDED: _DECODE,
    Code.INVALID_FIELD: _DECODE,
    Code.WRONG_AUDIENCE: _DECODE,
    Code.NO_POLICY: _POLICY,
    Code.POLICY_NOT_YET_VALID: _POLICY,
    Code.POLICY_EXPIRED: _POLICY,
    Code.TRUST_ROOT_EXPIRED: _POLICY,
    Code.PARAMETER_MISSING: _ADMIT,
    Code.PARAMETER_INVALID: _ADMIT,
    Code.PARAMETER_UNDECLARED: _ADMIT,
    Code.RESOURCE_MISMATCH: _ADMIT,
    Code.MISROUTED: _ADMIT,
    Code.STALE: _ADMIT,
    Code.FROM_FUTURE: _ADMIT,
    Code.EXPIRED: _ADMIT,
    Code.SIGNATURE_MISSING: _VERIFY,
    Code.SIGNATURE_INVALID: _VERIFY,
    Code.IDENTITY_UNKNOWN: _VERIFY,
    Code.IDENTITY_REVOKED: _VERIFY,
    Code.REPLAYED: _REPLAY,
    Code.REPLAY_CONFLICT: _REPLAY,
    Code.SIGNAL_MISSING: _VERIFY,
    Code.SIGNAL_INVALID: _VERIFY,
    Code.SIGNAL_UNTRUSTED: _VERIFY,
    Code.SIGNAL_STALE: _VERIFY,
    Code.SIGNAL_OUT_OF_BOUNDS: _VERIFY,
    Code.SIGNAL_WRONG_SUBJECT: _VERIFY,
    Code.SIGNAL_AMBIGUOUS: _VERIFY,
    Code.POLICY_ERROR: _EVALUATE,
    Code.FORBIDDEN: _EVALUATE,
    Code.APPROVAL_REQUIRED: _EVALUATE,
    Code.APPROVAL_INVALID: _EVALUATE,
    Code.NO_PERMIT: _EVALUATE,
    Code.MORE_REASONS: (Phase.NONE,),
    Code.APPROVED: (Phase.NONE,),
}
_ZEROS = bytes(32)


def contradiction(entry: Entry, log: str, leaf_index: int) -> str | None:
    """Return what is wrong with the entry as leaf `leaf_index` of the lineage `log`, or `None`."""
    if isinstance(entry, Genesis) != (leaf_index == 0):
        return f"expected Genesis at leaf 0 and only there, got another at leaf {leaf_index}"
    if isinstance(entry, Decision):
        return _decision(entry, log, leaf_index)
    if isinstance(entry, Genesis):
        return _genesis(entry, log)
    if isinstance(entry, Control):
        return _control(entry)
    return _gap(entry)


def _decision(entry: Decision, log: str, leaf_index: int) -> str | None:
    if entry.mode != ENFORCED:
        return "expected mode ENFORCED, got SHADOW: it decides nothing"
    if not _is_named(
        log, entry.domain, entry.gate, entry.input_topic, entry.input_partition, entry.epoch
    ):
        return "domain, gate, topic, partition and epoch are not those of the origin"
    if not -1 <= entry.prev_input_offset < entry.input_offset:
        return f"link to the record before: {entry.prev_input_offset} to {entry.input_offset}"
    if entry.input_time_ms < 0 or entry.trust_root_version < 1 or entry.policy_sequence < 0:
        return "a time, version or sequence is out of range"
    if (entry.policy_id == "") != (entry.policy_sha256 == _ZEROS):
        return "policy id and policy digest do not name a policy together"
    return _reasons(entry) or _first(entry, leaf_index) or _outcome(entry)


def _reasons(entry: Decision) -> str | None:
    reasons = entry.reasons
    if not 0 < len(reasons) <= REASONS_MAX:
        return f"expected 1 to {REASONS_MAX} reasons, got {len(reasons)}"
    if reasons[-1].code is Code.MORE_REASONS:
        if len(reasons) != REASONS_MAX:
            return f"`more_reasons` stands only as the last of {REASONS_MAX}"
        if reasons[-1].phase is not Phase.NONE:
            return "`more_reasons` is of phase `none`"
        reasons = reasons[:-1]
    phase = reasons[0].phase
    for reason in reasons:
        if reason.phase not in _PHASES[reason.code] or reason.code is Code.MORE_REASONS:
            return f"reason {_shown(reason)} does not exist"
        if reason.phase is not phase:
            return f"reason {_shown(reason)}: a step with a finding ends the evaluation"
        if (reason.code is Code.APPROVED) != (entry.outcome == APPROVED):
            return f"reason {_shown(reason)} does not belong to the outcome"
    return None


def _first(entry: Decision, leaf_index: int) -> str | None:
    first = entry.first
    if (first is not None) != (entry.reasons[0].phase is Phase.REPLAY):
        return "`first` stands in replays, and only there"
    if first is None:
        return None
    if not 1 <= first.epoch <= entry.epoch or first.leaf_index < 1 or first.input_offset < 0:
        return "`first` is out of range"
    if first.epoch == entry.epoch and (
        first.leaf_index >= leaf_index or first.input_offset >= entry.input_offset
    ):
        return "`first` does not lie before this decision"
    return None


def _outcome(entry: Decision) -> str | None:
    if entry.outcome != APPROVED:
        if entry.approvals or entry.constraints or entry.expires_ms is not None:
            return "a denial has no approvals, constraints or expiry"
        return None
    if entry.expires_ms is None or entry.expires_ms <= entry.input_time_ms:
        return "an approval expires after its input time"
    if not entry.policy_id or not entry.admission_key or entry.ask_sha256 == _ZEROS:
        return "an approval has a policy, an admission key and an ask"
    return None


def _genesis(entry: Genesis, log: str) -> str | None:
    if not _is_named(log, entry.domain, entry.gate, entry.topic, entry.partition, entry.epoch):
        return "domain, gate, topic, partition and epoch are not those of the origin"
    if entry.partition >= entry.partition_count or entry.first_offset < 0:
        return "a partition or offset is out of range"
    if (entry.epoch == 1) != (not entry.previous):
        return "lineages before this one are named from epoch 2 on, and only then"
    names = [name for name, _ in entry.limits], [schema.name for schema in entry.schemas]
    if any(list(listed) != sorted(set(listed)) for listed in names):
        return "limits or schemas are not ascending by name"
    return None


def _control(entry: Control) -> str | None:
    if entry.kind == CONTROL_NONE:
        return "a control entry of kind NONE did nothing"
    if not -1 <= entry.prev_input_offset < entry.input_offset or entry.input_time_ms < 0:
        return f"link to the record before: {entry.prev_input_offset} to {entry.input_offset}"
    if not entry.signers or list(entry.signers) != sorted(set(entry.signers)):
        return "signers are missing, or not ascending"
    is_root = entry.kind == CONTROL_TRUST_ROOT
    if is_root != (entry.sequence == 0) or is_root != (entry.activation_sequence == 0):
        return "sequences count policies from 1, and are 0 for a trust root"
    return None


def _gap(entry: Gap) -> str | None:
    if not -1 <= entry.prev_input_offset < entry.first_offset <= entry.last_offset:
        return "a gap's range is empty or begins before the record before it"
    if not entry.order:
        return "a gap carries its operators' order"
    return None


@lru_cache(maxsize=256)
def _is_named(log: str, domain: str, gate: str, topic: str, partition: int, epoch: int) -> bool:
    try:
        return origin(domain, gate, topic, partition, epoch) == log
    except CheckpointInvalid:
        return False


def _shown(reason: Reason) -> str:
    return f"`{reason.code.name.lower()}` of phase `{reason.phase.name.lower()}`"
