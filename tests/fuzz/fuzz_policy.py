"""Coverage-guided fuzzing of policy sources and test files: `fuzz_policy.py SECONDS`.

Law: whatever the bytes, they are a policy that packs and loads, or they end in faults with a line
of the file; never in another exception. Ends with status 0, or with libFuzzer's own.
"""

import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]


def main(seconds: int) -> None:
    """Fuzz."""
    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["gate.authoring", "gate.core.policy"]):
        from gate.authoring.cases import read_cases
        from gate.authoring.check import check_source
        from gate.authoring.faults import Fault, SourceInvalid

    examples = ROOT / "gate/authoring/examples"
    loan = check_source((examples / "loan-approval.policy.yaml").read_bytes(), "loan").policy

    def faults_of(kind: bytes, data: bytes) -> tuple[Fault, ...] | None:
        try:
            if kind == b"t":
                read_cases(data, "fuzzed.yaml", loan)
            else:
                check_source(data, "fuzzed.yaml")
        except SourceInvalid as error:
            return error.faults
        return None

    def one_input(raw: bytes) -> None:
        faults = faults_of(raw[:1], raw[1:])
        assert faults != ()
        lines = raw.count(b"\n") + 1
        assert all(1 <= fault.line <= lines and fault.column >= 1 for fault in faults or ())

    with tempfile.TemporaryDirectory() as folder:
        samples = [*examples.iterdir(), *(ROOT / "tests/vectors/bad-policies").iterdir()]
        for sample in samples:
            kind = b"t" if ".tests." in sample.name else b"p"
            (Path(folder) / sample.name).write_bytes(kind + sample.read_bytes())
        options = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10"]
        atheris.Setup([sys.argv[0], *options, "-rss_limit_mb=1024", folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
