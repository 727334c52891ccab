"""What to do about a reason: one short hint for each code, the tools' own text.

The policy's sentence and remedy, where there are any, say more.
"""

from types import MappingProxyType

from gate.core.reasons import Code

HINTS = MappingProxyType(
    {
        Code.CONTROL_REJECTED: "check who signed the control record, its sequence and `previous`",
        Code.EMPTY: "send a request: the record has no value",
        Code.TOO_LARGE: "make the request smaller",
        Code.FRAMING_UNKNOWN: "frame the request as Avro single-object, or use `gate submit`",
        Code.SCHEMA_UNKNOWN: "encode the request with the pinned schema",
        Code.MALFORMED: "encode the request again: its bytes do not read",
        Code.LIMIT_EXCEEDED: "stay within the limits that Genesis records",
        Code.INVALID_FIELD: "mend the named field: it is empty, or has characters that may not be",
        Code.WRONG_AUDIENCE: "address the request to this gate: `<domain>/<gate>`",
        Code.NO_POLICY: "activate a policy that governs this action",
        Code.POLICY_NOT_YET_VALID: "wait, or activate a policy that is valid now",
        Code.POLICY_EXPIRED: "activate a policy that is valid now",
        Code.TRUST_ROOT_EXPIRED: "sign and activate the next trust root",
        Code.PARAMETER_MISSING: "add the named parameter",
        Code.PARAMETER_INVALID: "give the named parameter in its declared type and bounds",
        Code.PARAMETER_UNDECLARED: "leave the named parameter out: the policy does not declare it",
        Code.RESOURCE_MISMATCH: "name the resource that the policy derives from the parameters",
        Code.MISROUTED: "key the record by the first key part, partitioned with murmur2",
        Code.STALE: "send the request soon after it was issued, with today's date in its key",
        Code.FROM_FUTURE: "set the clock of the sender",
        Code.EXPIRED: "send the request before it expires",
        Code.SIGNATURE_MISSING: "sign the request: the policy wants it",
        Code.SIGNATURE_INVALID: "sign the very bytes that are sent, with the key that is named",
        Code.IDENTITY_UNKNOWN: "sign with a key that the trust root lists for this actor",
        Code.IDENTITY_REVOKED: "sign with a key that is not revoked",
        Code.REPLAYED: "look at the first decision: this was approved before",
        Code.REPLAY_CONFLICT: "use another key: this one was approved for another ask",
        Code.SIGNAL_MISSING: "attach a statement of the named signal",
        Code.SIGNAL_INVALID: "have the issuer sign the statement again, for this domain",
        Code.SIGNAL_UNTRUSTED: "take the statement from an issuer that policy and trust root name",
        Code.SIGNAL_STALE: "get a fresh statement from the issuer",
        Code.SIGNAL_OUT_OF_BOUNDS: "ask the issuer: the value is outside what the policy declares",
        Code.SIGNAL_WRONG_SUBJECT: "attach the statement about this request's own subject",
        Code.SIGNAL_AMBIGUOUS: "attach one statement of each signal",
        Code.POLICY_ERROR: "tell the policy's owner: evaluating it failed",
        Code.FORBIDDEN: "a rule forbids this: change what it names, or ask the policy's owner",
        Code.APPROVAL_REQUIRED: "a person must agree first; accepting approvals is not built yet",
        Code.APPROVAL_INVALID: "collect the approval again, for this very ask",
        Code.NO_PERMIT: "no rule allows this: see the policy's allow rules",
        Code.MORE_REASONS: "mend these first: there are more",
        Code.APPROVED: "carry it out before it expires, within its constraints",
    }
)
