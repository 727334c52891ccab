"""Coverage-guided fuzzing of the strict readers: `fuzz_readers.py TARGET SECONDS`.

Law: whatever a reader accepts, fastavro reads as the same value, and both write it as the same
bytes; whatever it does not accept, it refuses by `WireError`. Every input gets the header put
before it, so that the body is what is fuzzed. Ends with status 0, or with libFuzzer's own.
"""

import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
TARGETS = {
    "request": ("action-request",),
    "statement": ("signal-statement",),
    "control_record": ("control-record",),
    "entry": ("entry-decision", "entry-genesis", "entry-control", "entry-gap"),
}


def main(target: str, seconds: int) -> None:
    """Fuzz one target."""
    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["gate.core.wire"]):
        import gate.core.wire.entry
        import gate.core.wire.request
        import gate.core.wire.statement  # noqa: F401
    from gate.core.wire.reader import WireError
    from tests.unit.core.wire.oracle import Oracle
    from tests.unit.core.wire.samples import SAMPLES

    samples = [sample for sample in SAMPLES if sample.schema in TARGETS[target]]
    oracles = [Oracle(sample.schema) for sample in samples]

    def one_input(raw: bytes) -> None:
        if not raw:
            return
        number = raw[0] % len(samples)
        sample = samples[number]
        data = sample.data[:10] + raw[1:]
        try:
            value = sample.read(data)
        except WireError:
            return
        assert sample.encode(value) == data
        oracles[number].agrees(data, value)

    with tempfile.TemporaryDirectory() as folder:
        for number, sample in enumerate(samples):
            (Path(folder) / sample.schema).write_bytes(bytes([number]) + sample.data[10:])
        options = [
            f"-max_total_time={seconds}",
            "-max_len=4096",
            "-timeout=5",
            "-rss_limit_mb=1024",
        ]
        atheris.Setup([sys.argv[0], *options, folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
