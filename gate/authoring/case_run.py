"""Running a policy's cases through the gate's own steps, and telling how it went.

A case with `approvals` and every property is `not run`: counted apart, never as passed.
"""

from enum import Enum
from typing import NamedTuple
from xml.etree import ElementTree as ET

from gate.authoring.assumed import AssumedRequest, judge
from gate.authoring.cases import Case, Cases, Expected
from gate.authoring.typed import value_text
from gate.core.admission import Admission
from gate.core.policy.compiled import Policy
from gate.core.reasons import Reason
from gate.core.wire.text import escaped


class Status(Enum):
    """How a case or a property went."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


class CaseResult(NamedTuple):
    """One case or property; `differences` are sentences, expected before got."""

    name: str
    line: int
    status: Status
    differences: tuple[str, ...] = ()
    not_run_because: str = ""


class CasesReport(NamedTuple):
    """All results of one test file, in its order."""

    file: str
    policy: str
    results: tuple[CaseResult, ...]

    def count(self, status: Status) -> int:
        """Return how many went so."""
        return sum(result.status is status for result in self.results)


def run_cases(cases: Cases, policy: Policy) -> CasesReport:
    """Judge every case that can be judged and compare; `policy` is the one they were read for."""
    results = [_run(case, policy) for case in cases.cases]
    results += [
        CaseResult(item.name, item.line, Status.NOT_RUN, (), "properties need the solver")
        for item in cases.properties
    ]
    return CasesReport(cases.file, cases.policy, tuple(results))


def report_text(report: CasesReport) -> str:
    """Return the report for people: what failed and why, then one line of counts."""
    lines = []
    for result in report.results:
        if result.status is Status.FAILED:
            place = f"{escaped(report.file)}:{result.line}"
            lines.append(f"{place}: failed `{escaped(result.name)}`")
            lines += [f"  {escaped(difference)}" for difference in result.differences]
    lines += [f"not run, {why}: {names}" for why, names in _not_run(report)]
    passed, failed, not_run = (report.count(status) for status in Status)
    lines.append(f"{passed} of {passed + failed} passed" + (f", {not_run} not run" * bool(not_run)))
    return "\n".join(lines)


def _not_run(report: CasesReport) -> list[tuple[str, str]]:
    """Return each reason for not running, with the names of what was not run for it."""
    found: dict[str, list[str]] = {}
    for result in report.results:
        if result.status is Status.NOT_RUN:
            found.setdefault(result.not_run_because, []).append(f"`{escaped(result.name)}`")
    return [(why, ", ".join(names)) for why, names in found.items()]


def report_junit(report: CasesReport) -> str:
    """Return the report as JUnit XML; what was not run is `skipped`."""
    suite = ET.Element(
        "testsuite",
        name=escaped(report.policy),
        tests=str(len(report.results)),
        failures=str(report.count(Status.FAILED)),
        errors="0",
        skipped=str(report.count(Status.NOT_RUN)),
    )
    for result in report.results:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=escaped(report.policy),
            name=escaped(result.name),
            file=escaped(report.file),
            line=str(result.line),
        )
        if result.status is Status.FAILED:
            text = escaped("; ".join(result.differences))
            ET.SubElement(case, "failure", message=text)
        elif result.status is Status.NOT_RUN:
            ET.SubElement(case, "skipped", message=result.not_run_because)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=False) + "\n"


def reason_text(reason: Reason) -> str:
    """Return a reason as test files write it: `code`, or `code:rule-or-field`."""
    culprit = reason.rule or reason.field
    return reason.code.name.lower() + (f":{culprit}" if culprit else "")


def _run(case: Case, policy: Policy) -> CaseResult:
    if case.approvals:
        reason = "approvals are not judged yet"
        return CaseResult(case.name, case.line, Status.NOT_RUN, (), reason)
    request = AssumedRequest(
        actor=case.actor,
        action=case.action,
        resource=case.resource,
        parameters=case.parameters,
        signals=case.signals,
        ages_ms=case.ages_ms,
    )
    differences = _differences(case.expected, judge(request, policy, case.now_ms))
    status = Status.FAILED if differences else Status.PASSED
    return CaseResult(case.name, case.line, status, differences)


def _differences(expected: Expected, admission: Admission) -> tuple[str, ...]:
    found = []
    if expected.approved != admission.approved:
        outcomes = {True: "APPROVED", False: "DENIED"}
        wanted, got = outcomes[expected.approved], outcomes[admission.approved]
        found.append(f"outcome: expected {wanted}, got {got}: {_all(admission.reasons)}")
        return tuple(found)
    if expected.rule is not None and expected.rule != admission.reasons[0].rule:
        found.append(f"rule: expected `{expected.rule}`, got `{admission.reasons[0].rule}`")
    if expected.reasons is not None and not _reasons_met(expected, admission):
        wanted = ", ".join(
            item.code.name.lower() + (f":{item.culprit}" if item.culprit else "")
            for item in expected.reasons
        )
        found.append(f"reasons: expected {wanted}, got {_all(admission.reasons)}")
    got_values = dict(admission.constraints)
    for name, value in expected.constraints.items():
        got_value = got_values.get(name)
        if got_value != value or type(got_value) is not type(value):
            got_text = "none" if got_value is None else value_text(got_value)
            found.append(f"constraint `{name}`: expected {value_text(value)}, got {got_text}")
    return tuple(found)


def _reasons_met(expected: Expected, admission: Admission) -> bool:
    assert expected.reasons is not None
    return len(expected.reasons) == len(admission.reasons) and all(
        wanted.code is got.code and wanted.culprit in ("", got.rule or got.field)
        for wanted, got in zip(expected.reasons, admission.reasons, strict=True)
    )


def _all(reasons: tuple[Reason, ...]) -> str:
    return ", ".join(reason_text(reason) for reason in reasons)
