"""Every statistic behind every transform, on maps nobody thought of, against a slow float64 oracle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import oracle_maps as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tolerances
from layer_fast import quantify_map
from layer_fast.errors import ConfigError
from layer_fast.quantify import STATISTICS

LAYERS = ("a", "b", "c")
GROUP = {"g": {"members": ["a", "c"]}}
REGIONS = {"background": (0,), "a": (1,), "b": (2,), "c": (3,), "g": (1, 3)}
NAMES = sorted(name for name, facts in STATISTICS.items() if not facts.cohort)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(*(st.integers(1, 4) for _ in range(3))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, draw(st.integers(1, 4)), shape).astype(np.uint8)
    kind = draw(st.sampled_from(["ties", "signed", "positive", "rectified", "zero", "constant", "unit"]))
    s = {"ties": rng.integers(-2, 3, shape), "signed": rng.normal(size=shape), "positive": rng.gamma(1, 1, shape),
         "rectified": np.maximum(rng.normal(size=shape), 0), "zero": np.zeros(shape), "constant": np.full(shape, 0.5),
         "unit": rng.integers(0, 5, shape) / 4}[kind]  # fmt: skip
    return s.astype(np.float32), labels


@st.composite
def definitions(draw: st.DrawFn, name: str) -> dict[str, Any]:
    takes = STATISTICS[name].parameters  # type: ignore[index]
    stat: dict[str, Any] = {"name": name}
    if "total" in takes:
        stat["total"] = draw(st.sampled_from(["all", "labelled"]))
    if "weighted" in takes:
        stat["weighted"] = draw(st.booleans())
    if "q" in takes:
        stat["q"] = draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    if "k" in takes:
        stat |= draw(st.sampled_from([{"k": 1}, {"fraction": 0.3}, {"fraction": 1.0}]))
    if "base_threshold" in takes:
        stat["base_threshold"] = draw(st.sampled_from([0.0, 0.1, 0.6]))
    sets = st.sampled_from(["all", "labelled"])
    kind = draw(st.sampled_from(["none", "min_max", "max", "sum", "z_score", "rank"]))
    normalise: dict[str, Any] = {"kind": kind}
    if kind != "none":
        scope = draw(st.sampled_from(["volume", "slice"]))
        normalise |= {"voxels": draw(sets), "scope": scope}
        normalise |= {"axis": draw(st.sampled_from(["z", "y", "x"]))} if scope == "slice" else {}
    clip = draw(st.sampled_from([None, {"percentiles": [10.0, 75.0]}, {"percentiles": [0.0, 99.0]}]))
    return {
        "name": "it", "statistic": stat, "normalise": normalise, "groups": GROUP,
        "invert": draw(st.sampled_from(["none", "negate"])),
        "sign": draw(st.sampled_from(["none", "positive", "negative", "absolute"])),
        "clip": {**clip, "voxels": draw(sets)} if clip else None,
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_against_the_oracle(name: str, data: st.DataObject) -> None:
    s, labels = data.draw(cases())
    d = data.draw(definitions(name))
    t = oracle.transformed(s, labels, d)
    needs = STATISTICS[name].needs  # type: ignore[index]
    needs = "t >= 0" if name == "intersection_over_attention" and d["statistic"]["weighted"] else needs
    seen = t[labels > 0] if d["statistic"].get("total") == "labelled" else t
    bad = needs and ((seen < 0).any() or (needs == "0 <= t <= 1" and (seen > 1).any()))
    if bad or (needs and d["normalise"]["kind"] == "z_score"):
        with pytest.raises(ConfigError, match="needs"):
            quantify_map(s, labels, definitions=d, layers=LAYERS)
        return
    for row in quantify_map(s, labels, definitions=d, layers=LAYERS).rows:
        region = REGIONS[row["region"]]
        expected = oracle.statistic(t, labels, region, d["statistic"])
        assert row["value"] == pytest.approx(expected, rel=tolerances.MAP_NUMBERS, abs=tolerances.MAP_NUMBERS,
                                             nan_ok=True), (row["region"], d)  # fmt: skip
        n = int(np.isin(labels, region).sum())
        assert (row["n_voxels"], row["present"]) == (n, n > 0)
        assert (
            row["cap"] is None or math.isnan(row["value"]) or row["value"] <= row["cap"] * (1 + tolerances.MAP_NUMBERS)
        )


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_shares_add_up_and_ranks_see_only_the_order(case: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    s, labels = case
    parts = quantify_map(s, labels, definitions={"name": "it", "statistic": "share", "sign": "absolute", "groups": {}},
                         layers=LAYERS).rows  # fmt: skip
    there = [row["value"] for row in parts if row["present"]]
    assert math.isnan(there[0]) if not s.any() else sum(there) == pytest.approx(1.0, abs=tolerances.FLOAT64_SUM)
    rising = {"name": "it", "statistic": "rank_overlap", "groups": {}}
    stretched = (np.sign(s) * np.abs(s) ** 3).astype(np.float32)
    if len(np.unique(stretched)) != len(np.unique(s)):
        return  # too close for float32: no strictly increasing transform any more
    one, other = (quantify_map(x, labels, definitions=rising, layers=LAYERS).rows for x in (s, stretched))
    assert repr([row["value"] for row in one]) == repr([row["value"] for row in other])
