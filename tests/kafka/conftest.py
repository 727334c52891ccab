"""Tests against a real broker: `make kafka-test`."""

from pathlib import Path

import pytest

from tests.kafka.local import cluster, kafka

__all__ = ["cluster", "kafka"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder; the hook is given every test of the run."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.kafka)
