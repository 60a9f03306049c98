"""The slow networks and operators run only where they are asked for, as in tests/graphs."""

from __future__ import annotations

from graphs.conftest import pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
