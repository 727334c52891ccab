"""A bundle compiled for evaluation: the policy decision point's rules, ready to run.

Signatures only for now; see the functions' docstrings.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gate.core.policy.bundle import Bundle
from gate.core.reasons import Code, Reason
from gate.core.values import ActionRequest, Evaluated, Parameters, Value


class SignalDeclaration(NamedTuple):
    """A declared signal; `name` has no prefix, `subject` names a parameter."""

    name: str
    issuers: frozenset[str]
    subject: str
    max_age_ms: int
    default: Value | None
    has_default: bool


class AskCheck(NamedTuple):
    """Step 3's result: `inputs` is keyed `request.<name>` and includes defaults."""

    inputs: dict[str, Value]
    evaluated: tuple[Evaluated, ...]
    reasons: tuple[Reason, ...]


class AdmissionKey(NamedTuple):
    """The tuple of space, generation and parts, encoded; and the Kafka record key."""

    encoded: bytes
    routing_key: bytes


class Evaluation(NamedTuple):
    """Steps 9 and 10's result; approved if and only if `reasons` is empty."""

    reasons: tuple[Reason, ...]
    constraints: Parameters
    allowed_by: str


class Digests(NamedTuple):
    """Lower-case hex `ast` digests, each in the order of the bundle's list."""

    variables: tuple[str, ...]
    rules: tuple[str, ...]
    constraints: tuple[str, ...]


class Policy:
    """A compiled policy: `bundle`, `sha256` of its payload, `signals` ascending by name."""

    bundle: Bundle
    sha256: bytes
    signals: tuple[SignalDeclaration, ...]

    def check_ask(self, request: ActionRequest) -> AskCheck:
        """Check the ask against the declarations."""
        raise NotImplementedError

    def admission_key(self, inputs: Mapping[str, Value]) -> AdmissionKey:
        """Return the admission key of checked inputs."""
        raise NotImplementedError

    def check_key_time(self, inputs: Mapping[str, Value], append_time_ms: int) -> Reason | None:
        """Compare date parts of the key with the UTC date of append time."""
        raise NotImplementedError

    def check_signal(self, name: str, value: Value) -> Code | None:
        """Check a signal's value: SIGNAL_INVALID (type) or SIGNAL_OUT_OF_BOUNDS."""
        raise NotImplementedError

    def evaluate(
        self, inputs: dict[str, Value], *, actor: str, action: str, resource: str, now_ms: int
    ) -> Evaluation:
        """Evaluate variables, rules and constraints."""
        raise NotImplementedError


def compile_policy(bundle: Bundle, payload_sha256: bytes) -> Policy:
    """Compile a bundle. Raises BundleInvalid, AstDiffers, EngineUnavailable."""
    raise NotImplementedError


def expression_digests(draft: Bundle) -> Digests:
    """Return the digests that the packer writes as `ast`. Raises BundleInvalid."""
    raise NotImplementedError
