"""Deciding the input of an evidence file again: step 10 of `core.proof.verify`.

The attachments are the control state: the trust root that the entry names, and its policy. The
same core decides, and the verifier compares the bytes.

Taken as given, because no file of one decision can show them: the salt, `first` (which decision
took the key, and with which ask), the link to the record before, the number of partitions, and
that no policy governed the action where the entry names none. What can not be rebuilt is not
decided again, and the verifier says so:

* a refused control record, which rests on the whole history before it
* a record that was `misrouted` for its partition alone, without the number of partitions
* a decision whose input, trust root or policy is not attached, or whose policy this build can not
  run
"""

from dataclasses import replace

from gate.core import dsse
from gate.core.control.state import ControlState, begin, compiled
from gate.core.limits import ENGINE, LIMITS
from gate.core.lineage import Place, Standing, is_control, judge, key_records
from gate.core.policy.compiled import Policy
from gate.core.policy.issues import AstDiffers, BundleInvalid, EngineUnavailable
from gate.core.proof.checkpoint import origin
from gate.core.proof.evidence import Evidence
from gate.core.proof.merkle import Frontier
from gate.core.reasons import Code
from gate.core.trust import TrustRootInvalid, read_trust_root
from gate.core.values import AdmissionRecord, Decision, Genesis
from gate.core.wire.changelog import encode_admission_record
from gate.core.wire.reader import WireError
from gate.ports import LogRecord

_OTHER_ASK = bytes(32)


def decide_again(entry: Decision, evidence: Evidence) -> bytes | None:
    """Return the entry that the attachments give; `None` where they do not suffice.

    A `core.proof.verify.DecideAgain`; never raises on attachments that the verifier let pass.
    """
    if evidence.input is None or entry.engine != ENGINE:
        return None
    record = LogRecord(
        entry.input_partition,
        entry.input_offset,
        entry.input_time_ms,
        True,
        evidence.input.key,
        evidence.input.value,
    )
    control = _control_state(entry, evidence)
    if control is None or is_control(record):
        return None
    # One partition to choose from: the record's own placement is taken as given.
    place = Place(
        origin=origin(
            entry.domain, entry.gate, entry.input_topic, entry.input_partition, entry.epoch
        ),
        partition=0,
        partition_count=1,
        salts=lambda _offset: entry.salt,
    )
    standing = Standing(
        control=control,
        frontier=Frontier(0, ()),
        sequence=0,
        prev_input_offset=entry.prev_input_offset,
        last_approved=-1,
        last_denied=-1,
        last_quarantine=-1,
    )
    try:
        keyed = key_records([record], place=place, control=control)
        taken = dict.fromkeys(keyed.state_keys, _taken(entry)) if entry.first else {}
        leaf = judge(keyed, taken, place=place, standing=standing).leaves[0]
    except (EngineUnavailable, AstDiffers):
        return None
    is_misrouted = entry.reasons[0].code is Code.MISROUTED
    if is_misrouted and leaf.admission is not None:
        decided = leaf.admission.reasons[0].code
        return leaf.entry if decided is Code.MISROUTED else None
    return leaf.entry


def _taken(entry: Decision) -> bytes:
    """Return the admission record that `first` stands for; a conflict had another ask."""
    assert entry.first is not None, "only replays have an admission record"
    is_same = entry.reasons[0].code is Code.REPLAYED
    return encode_admission_record(
        AdmissionRecord(
            sequence=1,
            epoch=entry.first.epoch,
            leaf_index=entry.first.leaf_index,
            input_offset=entry.first.input_offset,
            ask_sha256=entry.ask_sha256 if is_same else _OTHER_ASK,
        )
    )


def _control_state(entry: Decision, evidence: Evidence) -> ControlState | None:
    if evidence.control is None or (entry.policy_id and evidence.policy is None):
        return None
    try:
        root = read_trust_root(evidence.control.payload)
        envelope = dsse.encode_envelope(evidence.control)
        control = begin(_genesis(entry), root, envelope)
        in_force: dict[str, Policy] = {}
        if evidence.policy is not None:
            policy = compiled(evidence.policy.payload)
            in_force[policy.bundle.policy] = policy
    except (TrustRootInvalid, BundleInvalid, EngineUnavailable, AstDiffers, WireError):
        return None
    return replace(control, in_force=in_force)


def _genesis(entry: Decision) -> Genesis:
    """Return as much of Genesis as a decision shows; the rest takes no part in deciding."""
    return Genesis(
        domain=entry.domain,
        gate=entry.gate,
        cluster_id="",
        topic=entry.input_topic,
        topic_id="",
        partition=entry.input_partition,
        partition_count=entry.input_partition + 1,
        epoch=entry.epoch,
        first_offset=0,
        previous=(),
        engine=entry.engine,
        limits=LIMITS,
        schemas=(),
        lineage_secret_sha256=bytes(32),
        trust_root_sha256=entry.trust_root_sha256,
    )
