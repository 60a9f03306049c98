"""The quick part of the validation of the tool: 20 cohorts in each of 54 cells. The full one is `make validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layer_fast.types import LAYERS, SETUPS
from layer_fast.validation import tool


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out: Path = tmp_path_factory.mktemp("validation") / "tool.json"
    return dict(tool.run(out, quick=True, processes=1)["summary"])


@pytest.mark.parametrize("kind", ["mean", "texture"])
def test_the_driver_comes_first(summary: dict[str, Any], kind: str) -> None:
    cells = [summary[f"{kind}:{layer}:{setup}"]["first"] for layer in LAYERS for setup in SETUPS]
    assert [cell["of"] for cell in cells] == [20] * len(cells)
    whole = summary[kind]
    assert whole["first"]["share"] >= 0.95
    missed = whole["first"]["of"] - whole["first"]["hits"]
    assert missed == whole["by_chance"], "the tool missed a driver that was there to be found"


def test_expected_zeros_are_zeros(summary: dict[str, Any]) -> None:
    assert {kind: summary[kind]["nonzero"] for kind in ("mean", "texture", "geometry")} == {
        "mean": 0.0, "texture": 0.0, "geometry": 0.0
    }  # fmt: skip
    assert summary["mean"]["layer_mean"] <= tool.AGREEMENT
    assert max(summary[kind]["disagreement"] for kind in ("mean", "texture", "geometry")) <= tool.AGREEMENT


def test_geometry_alone_names_no_layer(summary: dict[str, Any]) -> None:
    assert (summary["geometry"]["named"]["hits"], summary["geometry"]["named"]["of"]) == (0, 360)
