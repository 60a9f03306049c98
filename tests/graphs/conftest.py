"""The slow networks run only where they are asked for: -m zoo, or LAYER_FAST_ZOO=1."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "zoo" in config.option.markexpr or os.environ.get("LAYER_FAST_ZOO") == "1":
        return
    for item in items:
        if item.get_closest_marker("zoo"):
            item.add_marker(pytest.mark.skip(reason="slow network; run with -m zoo or LAYER_FAST_ZOO=1"))
