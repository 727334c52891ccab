"""The description from which `gate trust build` makes a trust root's payload.

TOML with the members of `gate.core.trust.payload`; four things are easier to write here:

    domain = "acme.example"
    expires = "2028-01-01T00:00:00Z"       # becomes `expires_ms`
    [root]
    threshold = 2
    keys = [{holder = "ann", key = "keys/ann.key"}, ...]
    [[checkpoint_keys]]
    key = "c2f0..."                        # a public key in hex, or a private key file beside it
    origins = ["acme.example/payments/"]
    [[roles.requester]]                    # `status` is `active` where it is left out
    holder = "web"
    key = "keys/web.key"
    actors = ["*"]

`format`, `version`, `previous` and `issued_ms` are made, not written.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gate.authoring.quantities import moment_ms
from gate.core import jcs
from gate.core.trust import FORMAT, TrustRoot, TrustRootInvalid, read_trust_root
from gate.errors import ConfigInvalid

_HEX = re.compile(r"[0-9a-f]{64}")
_MADE = ("format", "version", "previous", "issued_ms", "expires_ms")


def trust_payload(
    data: bytes,
    file: Path,
    *,
    current: TrustRoot | None,
    now_ms: int,
    public_key_of: Callable[[Path], bytes],
) -> bytes:
    """Return the payload to be signed; it follows `current`, or is version 1 without one.

    `public_key_of` reads a private key file. Raises `ConfigInvalid` naming the file and member.
    """
    try:
        written = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{file}: not TOML: {error}") from error
    made = next((name for name in _MADE if name in written), None)
    if made is not None:
        raise ConfigInvalid(f"{file}: `{made}` is made by this command: leave it out")
    expires = written.pop("expires", None)
    expires_ms = moment_ms(expires) if isinstance(expires, str) else None
    if expires_ms is None:
        raise ConfigInvalid(f"{file}: `expires`: expected a time such as `2028-01-01T00:00:00Z`")
    payload = {
        "pins": [],
        "roles": {},
        **_with_keys(written, file.parent, public_key_of),
        "expires_ms": expires_ms,
        "format": FORMAT,
        "issued_ms": now_ms,
        "previous": None if current is None else current.sha256.hex(),
        "version": 1 if current is None else current.version + 1,
    }
    try:
        encoded = jcs.canonical(payload)
        read_trust_root(encoded)
    except (jcs.JsonInvalid, TrustRootInvalid) as error:
        raise ConfigInvalid(f"{file}: {error}") from error
    return encoded


def _with_keys(
    written: Mapping[str, Any], folder: Path, public_key_of: Callable[[Path], bytes]
) -> dict[str, Any]:
    """Replace key files by public keys and complete each `status`, except in `root`."""

    def walk(value: Any, *, has_status: bool) -> Any:
        if isinstance(value, list):
            return [walk(item, has_status=has_status) for item in value]
        if not isinstance(value, dict):
            return value
        done = {name: walk(item, has_status=has_status) for name, item in value.items()}
        if isinstance(value.get("key"), str):
            if not _HEX.fullmatch(value["key"]):
                done["key"] = public_key_of(folder / value["key"]).hex()
            if has_status:
                done.setdefault("status", "active")
        return done

    return {name: walk(value, has_status=name != "root") for name, value in written.items()}
