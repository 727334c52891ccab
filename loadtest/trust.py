"""The trust root of the load tests, and what its keys sign; the keys are `workload.person`'s."""

from gate.core import dsse, jcs
from loadtest.workload import person

DAY_MS = 86_400_000


def envelope(payload_type: str, payload: bytes, *signers: str) -> bytes:
    """Return the payload signed by the named people."""
    message = dsse.pae(payload_type, payload)
    signatures = tuple((person(n).id, person(n).private.sign(message)) for n in signers)
    return dsse.encode_envelope(dsse.Envelope(payload_type, payload, signatures))


def root_envelope(domain: str, audience: str, now_ms: int) -> bytes:
    """Return the first trust root: one author, two activators, one requester, one issuer."""

    def key(name: str, **scopes: object) -> dict[str, object]:
        return {"holder": name, "key": person(name).public.hex(), "status": "active", **scopes}

    every = ["*"]
    payload = jcs.canonical(
        {
            "format": "gate-trust-root/1",
            "domain": domain,
            "version": 1,
            "previous": None,
            "issued_ms": now_ms - DAY_MS,
            "expires_ms": now_ms + 365 * DAY_MS,
            "root": {"keys": [{"holder": "r", "key": person("r").public.hex()}], "threshold": 1},
            "checkpoint_keys": [
                {
                    "key": person("checkpoint").public.hex(),
                    "origins": [f"{audience}/"],
                    "status": "active",
                }
            ],
            "pins": [],
            "roles": {
                "policy_author": {"keys": [key("author", policies=every)], "threshold": 1},
                "policy_activator": {
                    "keys": [
                        key("activator-1", policies=every, gates=every),
                        key("activator-2", policies=every, gates=every),
                    ],
                    "threshold": 2,
                },
                "requester": [key("requester", actors=every)],
                "signal_issuer": [key("bureau", issuer="credit-bureau", signals=every)],
            },
        }
    )
    return envelope(dsse.TRUST_ROOT, payload, "r")
