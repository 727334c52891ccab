"""Those who speak to the gate in the demonstration: a lending desk and a credit bureau.

Their keys are made by the demonstration itself; whom the gate believes is for its trust root to
say. A message is signed once and sent as it was signed.
"""

from dataclasses import dataclass

from gate.core import dsse
from gate.core.signature import key_id
from gate.core.values import Attestation, Parameters, RequestSignature, SignalStatement
from gate.core.wire.request import unsigned_bytes, with_signature
from gate.core.wire.statement import encode_statement
from gate.demo.applications import Application
from gate.ports import Signer

ACTION = "loan.approve"
ACTOR = "lending-desk"
ISSUER = "credit-bureau"
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bureau:
    """The credit bureau: says what it knows of an applicant, in one signed statement."""

    domain: str
    signer: Signer

    def statement(
        self,
        application: Application,
        *,
        issued_ms: int,
        signed_by: Signer | None = None,
    ) -> Attestation:
        """Return the signed statement about the application's applicant, good for 24 hours."""
        statement = encode_statement(
            SignalStatement(
                self.domain,
                ISSUER,
                "applicant",
                application.applicant,
                signals_of(application),
                issued_ms,
                issued_ms + 24 * HOUR_MS,
            )
        )
        signer = signed_by or self.signer
        signature = signer.sign(dsse.pae(dsse.SIGNAL, statement))
        return Attestation(statement, key_id(signer.public_key()), signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What one request says, before it is signed."""

    audience: str
    request_id: str
    resource: str
    parameters: Parameters
    attestations: tuple[Attestation, ...]
    issued_at_ms: int
    action: str = ACTION

    def unsigned(self) -> bytes:
        """Return the request without a signature."""
        return unsigned_bytes(
            audience=self.audience,
            request_id=self.request_id,
            actor=ACTOR,
            action=self.action,
            resource=self.resource,
            parameters=self.parameters,
            attestations=self.attestations,
            issued_at_ms=self.issued_at_ms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The lending desk: asks to approve a loan. All its requests are issued at `now_ms`."""

    audience: str
    signer: Signer
    bureau: Bureau
    now_ms: int

    def draft(self, application: Application, request_id: str) -> Draft:
        """Return the request for an application, with a fresh statement about its applicant."""
        return Draft(
            audience=self.audience,
            request_id=request_id,
            resource=f"application/{application.id}",
            parameters=parameters_of(application),
            attestations=(self.bureau.statement(application, issued_ms=self.now_ms),),
            issued_at_ms=self.now_ms,
        )

    def sign(self, draft: Draft) -> bytes:
        """Return the request signed by the desk."""
        return signed(draft.unsigned(), self.signer)


def signed(unsigned: bytes, signer: Signer) -> bytes:
    """Return the request with the requester's signature."""
    signature = signer.sign(dsse.pae(dsse.REQUEST, unsigned))
    return with_signature(unsigned, RequestSignature(key_id(signer.public_key()), signature))


def signals_of(application: Application) -> Parameters:
    """Return what the bureau attests: ratios, scores, and what is on record."""
    return (
        ("consumer_credit_score", application.consumer_credit_score),
        ("debt_to_income_bp", application.debt_to_income_bp),
        ("denied_mortgage_insurance", application.denied_mortgage_insurance),
        ("housing_to_income_bp", application.housing_to_income_bp),
        ("loan_to_value_bp", application.loan_to_value_bp),
        ("mortgage_credit_score", application.mortgage_credit_score),
        ("public_bad_record", application.public_bad_record),
    )


def parameters_of(application: Application) -> Parameters:
    """Return what the lending desk states itself."""
    return (
        ("applicant", application.applicant),
        ("application", application.id),
        ("condominium", application.condominium),
        ("self_employed", application.self_employed),
    )
