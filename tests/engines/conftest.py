"""Tiny models and a tiny cohort for whole runs. The slow networks and operators run only where they are asked for, as
in tests/graphs."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from graphs.conftest import pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmenter and a classifier of B-mode. No test writes there."""
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("bmode",))


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of three scans. No test writes there."""
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "c", 3)
