"""Trust root payloads: read from canonical JSON.

The payload is canonical JSON (`jcs`) in this format:

    {"checkpoint_keys": [{"key": HEX, "origins": ["acme.example/payments/"], "status": "active"}],
     "domain": "acme.example", "expires_ms": 1830000000000, "format": "gate-trust-root/1",
     "issued_ms": 1790000000000, "pins": [{"origin": ORIGIN, "root": HEX, "size": 12}],
     "previous": null, "root": {"keys": [{"holder": "ann", "key": HEX}], "threshold": 1},
     "roles": {
      "approver": [{"holder": H, "key": HEX, "policies": [S], "role": R, "status": "active"}],
      "operator": {"keys": [{"gates": [S], "holder": H, "key": HEX, "status": "active"}],
                   "threshold": 2},
      "policy_activator": {"keys": [{"gates": [S], "holder": H, "key": HEX, "policies": [S],
                                     "status": "revoked"}], "threshold": 2},
      "policy_author": {"keys": [{"holder": H, "key": HEX, "policies": [S],
                                  "status": "active"}], "threshold": 1},
      "requester": [{"actors": [S], "holder": H, "key": HEX, "status": "active"}],
      "signal_issuer": [{"holder": H, "issuer": I, "key": HEX, "signals": [S],
                         "status": "active"}]},
     "version": 1}

A scope S is an exact name, or the beginning of names followed by `*`. A role left out has nobody.
HEX is the public key's 32 bytes in lower case. Format and rules: `design/decision.md` §4.

Promises: a `TrustRoot` comes only from a payload in which every key is a sound point, no key
stands twice in a role, no member is unknown and each threshold can be met by active holders.

Leaves to others: who signed it (`chain`).
"""

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from gate.core import jcs
from gate.core.limits import CONTROL_BYTES_MAX, IDENTIFIER_BYTES_MAX
from gate.core.signature import PublicKey, PublicKeyInvalid, load_public_key
from gate.core.trust.root import Authority, CheckpointKey, Keys, Pin, RoleKey, Scope, TrustRoot
from gate.core.wire.text import has_forbidden

if TYPE_CHECKING:
    from gate.core.values import KeyId

FORMAT = "gate-trust-root/1"
ITEMS_MAX = 1024  # of one array

SCOPES: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "approver": ("role", ("policies",)),
        "operator": ("", ("gates",)),
        "policy_activator": ("", ("policies", "gates")),
        "policy_author": ("", ("policies",)),
        "requester": ("", ("actors",)),
        "signal_issuer": ("issuer", ("signals",)),
    }
)
"""Each role's naming member, and its members that hold scopes."""
_WITH_THRESHOLD = frozenset({"operator", "policy_activator", "policy_author"})
_PAYLOAD = frozenset(
    {
        "checkpoint_keys",
        "domain",
        "expires_ms",
        "format",
        "issued_ms",
        "pins",
        "previous",
        "roles",
        "root",
        "version",
    }
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HEX_32 = re.compile(r"[0-9a-f]{64}")


class TrustRootInvalid(ValueError):
    """A trust root that can not be read or does not count; `str()` has the path and the cure."""


def read_trust_root(payload: bytes) -> TrustRoot:
    """Return the trust root of a payload in canonical JSON, its signatures unseen.

    Raises `TrustRootInvalid` with the path of what is wrong.
    """
    try:
        value = jcs.parse(payload, bytes_max=CONTROL_BYTES_MAX)
        found = jcs.members(value, "trust root", _PAYLOAD)
        is_canonical = jcs.canonical(value) == payload
        read = _trust_root(found, payload)
    except jcs.JsonInvalid as error:
        raise TrustRootInvalid(str(error)) from error
    if not is_canonical:
        raise TrustRootInvalid("payload is not canonical JSON: write it as RFC 8785 says")
    return read


def _trust_root(found: dict[str, object], payload: bytes) -> TrustRoot:
    if found["format"] != FORMAT:
        raise jcs.JsonInvalid(f"`format`: expected `{FORMAT}`")
    domain = _text(found["domain"], "domain")
    if not _NAME.fullmatch(domain):
        raise jcs.JsonInvalid("`domain`: expected ASCII letters, digits and `._-`")
    version = _integer(found["version"], "version", 1)
    previous = None if found["previous"] is None else _hex(found["previous"], "previous")
    if (version == 1) != (previous is None):
        raise jcs.JsonInvalid("`previous`: expected null in version 1, a digest in later ones")
    issued_ms = _integer(found["issued_ms"], "issued_ms", 0)
    root = jcs.members(found["root"], "root", frozenset({"keys", "threshold"}))
    roles = jcs.members(found["roles"], "roles", frozenset(), frozenset(SCOPES))
    read = {role: _role(roles.get(role), role) for role in SCOPES}
    root_keys, threshold = _with_threshold(root, "root", "", (), has_status=False)
    return TrustRoot(
        domain=domain,
        version=version,
        previous_sha256=previous,
        issued_ms=issued_ms,
        expires_ms=_integer(found["expires_ms"], "expires_ms", issued_ms + 1),
        root=_authority(root_keys, threshold),
        checkpoint_keys=_checkpoint_keys(found["checkpoint_keys"], domain + "/"),
        pins=frozenset(
            _pin(item, f"pins[{index}]", domain + "/")
            for index, item in enumerate(_array(found["pins"], "pins"))
        ),
        roles=MappingProxyType({role: keys for role, (keys, _) in read.items()}),
        thresholds=MappingProxyType({role: count for role, (_, count) in read.items()}),
        sha256=hashlib.sha256(payload).digest(),
    )


def _role(value: object, role: str) -> tuple[Keys, int]:
    path, (name, scopes) = f"roles.{role}", SCOPES[role]
    if value is None:
        return MappingProxyType({}), 1
    if role in _WITH_THRESHOLD:
        found = jcs.members(value, path, frozenset({"keys", "threshold"}))
        return _with_threshold(found, path, name, scopes, has_status=True)
    return _role_keys(value, path, name, scopes, has_status=True), 1


def _with_threshold(
    found: dict[str, object], path: str, name: str, scopes: tuple[str, ...], *, has_status: bool
) -> tuple[Keys, int]:
    keys = _role_keys(found["keys"], f"{path}.keys", name, scopes, has_status=has_status)
    threshold = _integer(found["threshold"], f"{path}.threshold", 1)
    holders = {item.holder for item in keys.values() if not item.is_revoked}
    if threshold > len(holders):
        raise jcs.JsonInvalid(
            f"`{path}.threshold`: expected at most {len(holders)}, its active holders, "
            f"got {threshold}"
        )
    return keys, threshold


def _role_keys(
    value: object, path: str, name: str, scopes: tuple[str, ...], *, has_status: bool
) -> Keys:
    required = {"key", "holder", *scopes, *([name] if name else []), *(["status"] * has_status)}
    keys: dict[KeyId, RoleKey] = {}
    for index, item in enumerate(_array(value, path)):
        here = f"{path}[{index}]"
        found = jcs.members(item, here, frozenset(required))
        key = _key(found["key"], f"{here}.key")
        if key.key_id in keys:
            raise jcs.JsonInvalid(f"`{here}.key`: stands twice in this role, list it once")
        keys[key.key_id] = RoleKey(
            key,
            _text(found["holder"], f"{here}.holder"),
            has_status and _is_revoked(found["status"], f"{here}.status"),
            _text(found[name], f"{here}.{name}") if name else "",
            tuple(_scope(found[scope], f"{here}.{scope}") for scope in scopes),
        )
    return MappingProxyType(keys)


def _authority(keys: Keys, threshold: int) -> Authority:
    return Authority(
        MappingProxyType({key_id: item.key for key_id, item in keys.items()}),
        MappingProxyType({key_id: item.holder for key_id, item in keys.items()}),
        threshold,
    )


def _checkpoint_keys(value: object, beginning: str) -> tuple[CheckpointKey, ...]:
    required = frozenset({"key", "origins", "status"})
    keys: list[CheckpointKey] = []
    for index, item in enumerate(_array(value, "checkpoint_keys")):
        here = f"checkpoint_keys[{index}]"
        found = jcs.members(item, here, required)
        key = _key(found["key"], f"{here}.key")
        if any(key == other.key for other in keys):
            raise jcs.JsonInvalid(f"`{here}.key`: stands twice, list it once")
        origins = tuple(
            _text(text, f"{here}.origins") for text in _array(found["origins"], f"{here}.origins")
        )
        for origin in origins:
            if not origin.startswith(beginning) or not origin.endswith("/"):
                raise jcs.JsonInvalid(
                    f"`{here}.origins`: expected to begin with `{beginning}` and end with `/`, "
                    f"got {jcs.quoted(origin)}"
                )
        keys.append(CheckpointKey(key, origins, _is_revoked(found["status"], f"{here}.status")))
    return tuple(keys)


def _pin(value: object, path: str, beginning: str) -> Pin:
    found = jcs.members(value, path, frozenset({"origin", "root", "size"}))
    origin = _text(found["origin"], f"{path}.origin")
    if not origin.startswith(beginning):
        raise jcs.JsonInvalid(f"`{path}.origin`: expected to begin with `{beginning}`")
    size = _integer(found["size"], f"{path}.size", 1)
    return Pin(origin, size, _hex(found["root"], f"{path}.root"))


def _scope(value: object, path: str) -> Scope:
    texts = [_text(item, path) for item in _array(value, path)]
    for text in texts:
        if "*" in text[:-1]:
            raise jcs.JsonInvalid(f"`{path}`: `*` stands only at the end, got {jcs.quoted(text)}")
    return Scope(
        frozenset(text for text in texts if not text.endswith("*")),
        tuple(text[:-1] for text in texts if text.endswith("*")),
    )


def _key(value: object, path: str) -> PublicKey:
    try:
        return load_public_key(_hex(value, path))
    except PublicKeyInvalid as error:
        raise jcs.JsonInvalid(f"`{path}`: {error}") from error


def _is_revoked(value: object, path: str) -> bool:
    if value not in ("active", "revoked"):
        raise jcs.JsonInvalid(f"`{path}`: expected `active` or `revoked`")
    return value == "revoked"


def _hex(value: object, path: str) -> bytes:
    if type(value) is not str or not _HEX_32.fullmatch(value):
        raise jcs.JsonInvalid(f"`{path}`: expected 64 lower-case hexadecimal digits")
    return bytes.fromhex(value)


def _integer(value: object, path: str, least: int) -> int:
    if type(value) is not int or value < least:
        raise jcs.JsonInvalid(f"`{path}`: expected an integer from {least}")
    return value


def _text(value: object, path: str) -> str:
    if type(value) is not str or not 0 < len(value.encode()) <= IDENTIFIER_BYTES_MAX:
        raise jcs.JsonInvalid(f"`{path}`: expected a text of 1 to {IDENTIFIER_BYTES_MAX} bytes")
    if has_forbidden(value):
        raise jcs.JsonInvalid(
            f"`{path}`: holds a control or bidi character, got {jcs.quoted(value)}"
        )
    return value


def _array(value: object, path: str) -> list[object]:
    if type(value) is not list or len(value) > ITEMS_MAX:
        raise jcs.JsonInvalid(f"`{path}`: expected an array of at most {ITEMS_MAX} items")
    return value
