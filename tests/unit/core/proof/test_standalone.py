import subprocess
import sys

CODE = """
import sys
import gate.core.proof.verify
heavy = {"confluent_kafka", "rocksdict", "fastavro", "cel_expr_python", "structlog", "pydantic"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_verifier_imports_no_kafka_store_codec_or_engine():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
