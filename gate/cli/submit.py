"""`gate submit`: checks, signs and publishes action requests, and waits for their answers."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gate import wiring
from gate.authoring.case_run import reason_text
from gate.authoring.request_file import RequestFile, read_action, read_request_file
from gate.authoring.shape import shown, suggestion
from gate.cli.answers import answer_text, answer_values
from gate.cli.exits import Code, Usage
from gate.cli.files import read_file, read_policy
from gate.cli.hints import HINTS
from gate.cli.notes import Notes
from gate.cli.options import ConfigOption, DryRunOption, OutputOption, WaitOption, configured
from gate.cli.screen import Format, tell, write
from gate.cli.topic_progress import shown_reading
from gate.cli.waiting import wait_until
from gate.client.decisions import DecisionWatch, Found
from gate.client.followed_trust import FollowedTrust
from gate.client.in_force import read_in_force
from gate.client.submit import Draft, Issuer, Submission, attest, build, publish
from gate.config import DEFAULT_FILE, Config
from gate.core.admission import Setting, admit, prepare
from gate.core.limits import VALUE_BYTES_MAX
from gate.core.policy.compiled import Policy
from gate.core.proof.verdict import Refused
from gate.core.reasons import Reason
from gate.core.signature import key_id
from gate.core.trust import TrustRoot
from gate.core.values import APPROVED
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid, OutcomeUnknown
from gate.ports import LogReader, Signer

app = typer.Typer()


@app.command(
    epilog="Example: gate submit loan.json --key keys/requester.key --issuer-key keys/issuer.key"
    " --wait 10"
)
def submit(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Requests as JSON, or as YAML.")
    ],
    key: Annotated[
        Path | None, typer.Option(help="The requester's private key file.", metavar="FILE")
    ] = None,
    issuer_key: Annotated[
        list[Path] | None,
        typer.Option(
            help="For development: state the file's `signals` with this issuer's private key.",
            metavar="FILE",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="The policy, instead of the one in force.", metavar="FILE"),
    ] = None,
    wait: WaitOption = 0,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
    dry_run: DryRunOption = False,
) -> None:
    """Check, sign and publish action requests; all of the files, or none.

    With --wait: exit 0 when all were approved, 1 when one was denied, 4 when one has no answer yet.
    A request that is only going to be denied is told on stderr, and published all the same.
    """
    settings = configured(config)
    for path in files:
        read_action(_content(path), str(path))  # a file's own faults come before anybody else's
    with wiring.open_reader(settings) as reader:
        desk = _desk(
            settings, reader, policy, key, issuer_key or [], is_waiting=wait > 0 and not dry_run
        )
        made = [desk.made(path) for path in files]
        if any(item is None for item in made):
            tell("nothing was published")
            raise typer.Exit(Code.INVALID)
        submissions = [item for item in made if item is not None]
        if dry_run:
            _show_places(output, submissions, None)
            return
        answers = _Answers(desk, reader, submissions) if wait else None
        offsets = _published(settings, submissions)
        _show_places(output, submissions, offsets)
        if answers is not None:
            raise typer.Exit(answers.awaited(offsets, wait, output))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What every request of one command is made with."""

    config: Config
    partition_count: int
    policies: tuple[Policy, ...]
    trust: TrustRoot
    followed: FollowedTrust
    signer: Signer | None
    issuers: tuple[Issuer, ...]

    def made(self, path: Path) -> Submission | None:
        """Return the signed request of a file; `None`, and a line why, when its ask is refused."""
        data = _content(path)
        policy = self._policy_for(read_action(data, str(path)))
        if policy.bundle.requester == "signed" and self.signer is None:
            raise Usage(f"policy `{policy.bundle.policy}` wants signed requests: name a --key")
        read = read_request_file(
            data, str(path), policy=policy.bundle, allows_signals=bool(self.issuers)
        )
        built = build(
            self._draft(read, policy),
            policy=policy,
            partition_count=self.partition_count,
            signer=self.signer,
        )
        notes = Notes(
            bundle=policy.bundle,
            parameters=read.parameters,
            resource=read.resource,
            signals=read.signals,
        )
        if isinstance(built, Submission):
            self._warn(built, policy, path, notes)
            return built
        for reason in built:
            tell(f"{path}: {_reason(reason, notes)}")
        return None

    def _warn(self, made: Submission, policy: Policy, path: Path, notes: Notes) -> None:
        """Tell what the gate would say now if the admission key were free, unless it is yes."""
        now_ms = wiring.clock().now_ms()
        setting = Setting(
            domain=self.config.domain,
            audience=self.config.audience,
            partition=made.partition,
            partition_count=self.partition_count,
            trust=self.trust,
            policies=dict.fromkeys(policy.bundle.governs, policy),
        )
        prepared = prepare(made.key, made.value, append_time_ms=now_ms, setting=setting)
        answer = admit(prepared, None, append_time_ms=now_ms, setting=setting)
        for reason in () if answer.approved else answer.reasons:
            tell(f"warning: {path}: as things stand it is denied: {_reason(reason, notes)}")

    def _policy_for(self, action: str) -> Policy:
        for policy in self.policies:
            if action in policy.bundle.governs:
                return policy
        governed = [name for policy in self.policies for name in policy.bundle.governs]
        near = f": {suggestion(action, tuple(governed))}; or else" if governed else ":"
        raise ConfigInvalid(
            f"no policy in force governs action {shown(action)}{near} activate one and run "
            "the gate, which puts it in force, or name a policy with --policy"
        )

    def _draft(self, read: RequestFile, policy: Policy) -> Draft:
        now_ms = wiring.clock().now_ms()
        stated = attest(
            read.signals,
            read.parameters,
            policy=policy,
            issuers=self.issuers,
            domain=self.config.domain,
            now_ms=now_ms,
        )
        return Draft(
            audience=self.config.audience,
            request_id=read.request_id or secrets.token_hex(16),
            actor=read.actor,
            action=read.action,
            resource=read.resource,
            parameters=read.parameters,
            attestations=read.attestations + stated,
            issued_at_ms=now_ms if read.issued_at_ms is None else read.issued_at_ms,
            expires_at_ms=read.expires_at_ms,
            correlation_id=read.correlation_id,
        )


def _desk(
    config: Config,
    reader: LogReader,
    policy: Path | None,
    key: Path | None,
    issuer_keys: Sequence[Path],
    *,
    is_waiting: bool,
) -> _Desk:
    topic = wiring.topics(config).requests
    found = reader.topic(topic)
    if found is None:
        raise ConfigInvalid(f"gate has no topic `{topic}`: run `gate init-lineage` first")
    topics, first = wiring.topics(config), wiring.first_root(config).root
    with shown_reading("reading what is in force") as progress:
        followed = FollowedTrust(reader, topics, first, progress=progress)
        if policy is None:
            in_force = read_in_force(reader, topics, progress=progress)
            followed.follow(in_force.trust_roots)
            policies = tuple(in_force.state.in_force.values())
            trust = in_force.state.trust_root
        else:
            policies, trust = (read_policy(policy),), first
            if is_waiting:
                followed.read_on(0)
    return _Desk(
        config=config,
        partition_count=found.partition_count,
        policies=policies,
        trust=trust,
        followed=followed,
        signer=None if key is None else wiring.signer(key),
        issuers=tuple(_issuer(path, trust) for path in issuer_keys),
    )


def _issuer(path: Path, trust: TrustRoot) -> Issuer:
    signer = wiring.signer(path)
    listed = trust.roles["signal_issuer"].get(key_id(signer.public_key()))
    if listed is None:
        raise ConfigInvalid(f"issuer key `{path}` is not listed as an issuer's in the trust root")
    return Issuer(listed.name, signer)


def _content(path: Path) -> bytes:
    return read_file(path, "request", VALUE_BYTES_MAX)


def _reason(reason: Reason, notes: Notes) -> str:
    """Return a reason in a line: what, what was expected, what helps."""
    parts = [escaped(reason_text(reason)), escaped(reason.message) or notes.detail(reason)]
    parts.append(escaped(notes.remedy(reason)) or HINTS[reason.code])
    return ": ".join(part for part in parts if part)


def _published(config: Config, submissions: Sequence[Submission]) -> tuple[int, ...]:
    """Publish and return the offsets. Raises `OutcomeUnknown` that says what to do."""
    topic = wiring.topics(config).requests
    try:
        with wiring.open_publisher(config) as publisher:
            return publish(submissions, topic=topic, publisher=publisher)
    except OutcomeUnknown as error:
        raise OutcomeUnknown(
            f"{error}: some of {len(submissions)} may be published, some may not: submit them "
            "again: what was approved already is then denied as `replayed`, which is harmless"
        ) from error


def _show_places(
    output: Format, submissions: Sequence[Submission], offsets: Sequence[int] | None
) -> None:
    for index, item in enumerate(submissions):
        offset = None if offsets is None else offsets[index]
        place = "not published" if offset is None else f"offset {offset}"
        write(
            output,
            {"request_id": item.request_id, "partition": item.partition, "offset": offset},
            f"request `{escaped(item.request_id)}`: partition {item.partition}, {place}",
        )


class _Answers:
    """Waits for the answers to some submissions; made before they are published."""

    def __init__(self, desk: _Desk, reader: LogReader, submissions: Sequence[Submission]) -> None:
        self._policies = {policy.sha256: policy for policy in desk.policies}
        self._submissions = submissions
        partitions = sorted({item.partition for item in submissions})
        topics = wiring.topics(desk.config)
        decided = (topics.approved, topics.denied)
        self._watch = DecisionWatch(reader, decided, partitions, desk.followed)
        self._found: dict[tuple[int, int], Found] = {}
        self._codes: list[Code] = []

    def awaited(self, offsets: Sequence[int], seconds: float, output: Format) -> Code:
        """Show the answers in the order of the requests, as they come; return the code for all."""
        places = [
            (item.partition, offset)
            for item, offset in zip(self._submissions, offsets, strict=True)
        ]
        wanted, next_shown = frozenset(places), 0

        def is_answered() -> bool:
            nonlocal next_shown
            for found in self._watch.poll():
                if isinstance(found, Found) and found.place in wanted:
                    self._found[found.place] = found
            while next_shown < len(places) and places[next_shown] in self._found:
                self._show(self._found[places[next_shown]], output)
                next_shown += 1
            return len(self._found) == len(wanted)

        is_all = wait_until(is_answered, seconds=seconds, clock=wiring.clock())
        for place in places[next_shown:]:
            if place in self._found:
                self._show(self._found[place], output)
        if not is_all:
            late = len(wanted) - len(self._found)
            tell(
                f"{late} without an answer yet: is the gate running? What is published will be "
                "decided: do not submit it again, look for it with `gate evidence REQUEST_ID`"
            )
            return Code.UNREACHABLE
        return max(self._codes, default=Code.YES)

    def _show(self, found: Found, output: Format) -> None:
        self._codes.append(_show_answer(output, found, self._notes(found)))

    def _notes(self, found: Found) -> Notes:
        """Return what can be added to an answer, if its very policy is at hand."""
        decision = found.decision
        policy = self._policies.get(decision.policy_sha256)
        return Notes(bundle=None if policy is None else policy.bundle, resource=decision.resource)


def _show_answer(output: Format, found: Found, notes: Notes) -> Code:
    decision, verdict = found.decision, found.verdict
    if isinstance(verdict, Refused):
        tell(f"decision {found.reference} does not verify: {verdict.code.value}: {verdict.text}")
        return Code.NO
    assert verdict is not None, "answers are verified"
    approved = decision.outcome == APPROVED
    head = {
        "request_id": decision.request_id,
        "decision": found.reference,
        "verified": verdict.status.value,
    }
    values = answer_values(
        approved=approved,
        reasons=decision.reasons,
        constraints=decision.constraints,
        expires_ms=decision.expires_ms,
        notes=notes,
    )
    text = answer_text(
        approved=approved,
        reasons=decision.reasons,
        constraints=decision.constraints,
        expires_ms=decision.expires_ms,
        notes=notes,
    )
    name = f"request `{escaped(decision.request_id)}` ({escaped(found.reference)}): "
    write(output, {**head, **values}, name + text)
    return Code.YES if approved else Code.NO
