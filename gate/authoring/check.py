"""Check: a policy source becomes a compiled policy, or every fault with its line.

The judgement is the core's own (`policy.bundle`, `policy.compiled`): what passes here is what the
gate will load, since the checked policy is compiled from the very bytes a bundle would have.
"""

import copy
import hashlib
from dataclasses import dataclass
from typing import Any

from gate.authoring.source import Source, read_source
from gate.core import jcs
from gate.core.policy.bundle import Bundle, parse_bundle, read_draft
from gate.core.policy.compiled import Digests, Policy, compile_policy, expression_digests
from gate.core.policy.issues import BundleInvalid

UNPACKED_DOMAIN = "unpacked"
"""Stands for the domain of a bundle that nobody is going to sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A policy without faults; `document` is its bundle, with digests."""

    bundle: Bundle
    policy: Policy
    document: dict[str, Any]


def check_source(data: bytes, file: str) -> Checked:
    """Check the source of a policy; `file` is only named in faults.

    Raises `SourceInvalid` with all faults of the first stage that has any: YAML, form, meaning.
    """
    return check_bundle(read_source(data, file, domain=UNPACKED_DOMAIN))


def check_bundle(
    source: Source, *, previous: str | None = None, tests_sha256: str | None = None
) -> Checked:
    """Check the meaning of a source whose form is right, and compile it. Raises `SourceInvalid`."""
    draft = {**source.draft, "previous": previous, "tests_sha256": tests_sha256}
    try:
        document = with_digests(draft, expression_digests(read_draft(draft)))
        payload = jcs.canonical(document)
        bundle = parse_bundle(payload)
        policy = compile_policy(bundle, hashlib.sha256(payload).digest())
    except BundleInvalid as error:
        raise source.invalid(error.issues) from error
    return Checked(bundle=bundle, policy=policy, document=document)


def with_digests(draft: dict[str, Any], digests: Digests) -> dict[str, Any]:
    """Return a copy of the draft in which every expression has its `ast`."""
    document = copy.deepcopy(draft)
    expressions = (
        (document["variables"], digests.variables),
        (document["rules"], digests.rules),
        (document["constraints"]["values"], digests.constraints),
    )
    for items, hexes in expressions:
        for item, digest in zip(items, hexes, strict=True):
            item["ast"] = digest
    return document
