"""The cost of each step alone, over the same records: microseconds of processor time a decision."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from gate.core.admission import Setting, admit, prepare
from gate.core.control.state import begin
from gate.core.genesis import first_genesis
from gate.core.lineage import Place, Standing, judge, key_records
from gate.core.placement import input_sha256
from gate.core.proof.merkle import Frontier, append, leaf_hash
from gate.core.sealing import decision_records, seal
from gate.core.state import Salts
from gate.core.usual import read_usual
from gate.core.values import APPROVED
from gate.core.wire.entry import decision_block, encode_decision
from gate.core.wire.request import check_request, read_request
from gate.ports import LogRecord
from loadtest.embedded_gate import RUNTIME_LINE, LoadGate

_TREE_SIZE = 10_000_000  # paths as long as in a grown tree


def steps_us(gate: LoadGate, made: Sequence[tuple[int, bytes, bytes]]) -> dict[str, float]:
    """Measure; a step's figure is its own work only, so they do not add up to the whole."""
    mine = [(key, value) for partition, key, value in made if partition == 0]
    now_ms = gate._clock.now_ms()
    policy = gate.policy()
    setting = Setting(
        domain=gate.domain,
        audience=gate.audience,
        partition=0,
        partition_count=gate.partitions,
        trust=gate.trust,
        policies={"loan.approve": policy},
    )
    read = [read_request(value) for _, value in mine]
    prepared = [prepare(k, v, append_time_ms=now_ms, setting=setting) for k, v in mine]
    admissions = [admit(p, None, append_time_ms=now_ms, setting=setting) for p in prepared]
    block = decision_block(
        mode=1,
        domain=gate.domain,
        gate=gate.name,
        input_topic=gate.topics.requests,
        input_partition=0,
        epoch=1,
        engine="gate-engine/1",
        trust_root_version=1,
        trust_root_sha256=bytes(32),
        policy_id="load",
        policy_version="1.0.0",
        policy_sequence=1,
        policy_sha256=policy.sha256,
    )
    salts = Salts(gate.keys, "origin")

    def encode(index: int) -> bytes:
        a = admissions[index]
        request = a.request
        assert request is not None
        return encode_decision(
            block,
            index,
            index - 1,
            now_ms,
            a.ask_sha256,
            a.ask_sha256,
            bytes(16),
            request.request_id,
            request.actor,
            request.action,
            request.resource,
            request.correlation_id,
            a.actor_verified,
            a.admission_key,
            APPROVED if a.approved else 0,
            a.reasons,
            a.inputs,
            (),
            a.constraints,
            a.first,
            a.expires_ms,
        )

    count = len(mine)
    entries = [encode(i) for i in range(count)]
    grown = Frontier(_TREE_SIZE, tuple([bytes(32)] * _TREE_SIZE.bit_count()))
    evaluable = [
        (dict(p.inputs), p.request) for p in prepared if p.request is not None and not p.reasons
    ]
    if policy.signals:
        for inputs, _ in evaluable:
            inputs["signal.credit_score"] = 700

    def each(work: Callable[[int], object], times: int = count) -> float:
        def loop() -> None:
            for index in range(times):
                work(index)

        return _us(loop, times)

    return {
        "usual way: read and check a request": each(
            lambda i: read_usual(mine[i][1], gate.audience, setting.policies)
        ),
        "plain way: decode request": each(lambda i: read_request(mine[i][1])),
        "plain way: check fields": each(lambda i: check_request(read[i], gate.audience)),
        "plain way: declared checks": each(lambda i: policy.check_ask(read[i])),
        "admission key": each(lambda i: policy.admission_key(prepared[i].inputs)),
        "rules (variables, rules, constraints)": each(
            lambda i: policy.evaluate(
                evaluable[i][0], actor="a", action="loan.approve", resource="r", now_ms=now_ms
            ),
            len(evaluable),
        ),
        "prepare (steps 1-4)": each(
            lambda i: prepare(mine[i][0], mine[i][1], append_time_ms=now_ms, setting=setting)
        ),
        "admit (steps 5-12)": each(
            lambda i: admit(prepared[i], None, append_time_ms=now_ms, setting=setting)
        ),
        "digests and salt": each(
            lambda i: (
                input_sha256(*mine[i]),
                hashlib.sha256(mine[i][1]).digest(),
                salts(i),
            )
        ),
        "encode entry": each(encode),
        "seal (leaf hash, tree, paths)": _us(
            lambda: append(grown, [leaf_hash(entry) for entry in entries]), count
        ),
        "judge and seal a batch": _whole(gate, mine, now_ms),
    }


def _whole(gate: LoadGate, mine: Sequence[tuple[bytes, bytes]], now_ms: int) -> float:
    """Everything of the core for one batch, records included; no log, no store, no signature."""
    place = Place(
        "load.example/load/load.requests.v1/0/1", 0, gate.partitions, Salts(gate.keys, "o")
    )
    genesis = first_genesis(
        domain=gate.domain,
        gate=gate.name,
        cluster_id="c",
        topic=gate.topics.requests,
        topic_id="t",
        partition=0,
        partition_count=gate.partitions,
        first_offset=0,
        lineage_secret_sha256=bytes(32),
        trust_root_sha256=bytes(32),
    )
    control = replace(
        begin(genesis, gate.trust, gate.root_envelope), in_force={"load": gate.policy()}
    )
    grown = Frontier(_TREE_SIZE, tuple([bytes(32)] * _TREE_SIZE.bit_count()))
    standing = Standing(control, grown, 0, -1, -1, -1, -1)
    records = [LogRecord(0, i, now_ms, True, k, v) for i, (k, v) in enumerate(mine[:3000])]

    def batch() -> None:
        keyed = key_records(records, place=place, control=control)
        judged = judge(keyed, {}, place=place, standing=standing)
        sealed = seal(judged, place=place, standing=standing, runtime=RUNTIME_LINE)
        decision_records(sealed, place=place, note_signature=bytes(68))

    return _us(batch, len(records))


def _us(work: Callable[[], object], count: int) -> float:
    """Return the best of three, in microseconds of processor time a record."""
    best = min(_seconds(work) for _ in range(3))
    return round(best / count * 1e6, 2)


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
