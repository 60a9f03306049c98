"""compare under other hierarchies: which conclusions change, and that relatives count once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fake_tables
from layer_fast.errors import ConfigError
from layer_fast.quantify import HIERARCHY_PRESETS, REDUCTIONS, compare, make_reduction
from layer_fast.quantify.compare import QUESTIONS
from layer_fast.quantify.hierarchies import relatives
from layer_fast.types import LAYERS

SUBJECTS, LEFT = 40, 9  # nine scans of the left, one of the right


def cohort() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Left: hottest in the dermis, cases higher there. Right: far hotter in muscle, and no contrast. Over scans nine
    lefts win; by side muscle has the highest mean. Shapley values: the contrast lies in deep fat of the left, and three
    times as large with the other sign on the right."""
    rng = np.random.default_rng(4)
    is_case = np.arange(SUBJECTS) % 2 == 0
    scans = LEFT + 1
    means = np.array([0.2, 3.0, 0.5, 0.6, 0.7, 0.8, 1.0]) * rng.uniform(0.95, 1.05, (SUBJECTS, scans, 7))
    means[:, LEFT, 6] *= 9.0
    phi = rng.normal(0, 0.2, (SUBJECTS, scans, 7))
    phi[is_case, :LEFT, 4] += 1.0
    phi[is_case, LEFT, 4] -= 3.0
    layers, table = fake_tables.shapley_tables(phi, is_case)
    for row in table:
        row["side"] = "right" if row["scan_id"].endswith(f"-{LEFT}") else "left"
    return layers + fake_tables.map_tables(means, is_case), table


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return compare(*cohort(), replicates=199)


def cell_of(found: dict[str, Any], method: str) -> dict[str, Any]:
    return next(c for c in found["cells"] if c["method"] == method)


def test_a_conclusion_that_changes_by_side_is_shown(found: dict[str, Any]) -> None:
    rows = {one["definition"]: one for one in cell_of(found, "layer_shapley")["hierarchies"]}
    by_side = rows["layer_shapley_by_side"]
    assert by_side["base"] == "layer_shapley" and by_side["hierarchy"] == "mean over scans, mean over sides"
    moved = {c["question"]: (c["plain"], c["answer"]) for c in by_side["changes"]}
    assert moved["top_contrast"] == ("deep_fat", "no layer")  # (9 - 3) / 10 = 0.6 over scans, (1 - 3) / 2 = -1 by side
    maps = {one["definition"]: one for one in cell_of(found, "gradcam")["hierarchies"]}
    moved = {c["question"]: c["answer"] for c in maps["mean_ratio_of_means"]["changes"]}
    assert moved == {}
    assert maps["mean_minmax_volume_by_side"]["scans_without_value"] == {"side": 0}


def test_the_numbers_are_means_of_the_sides() -> None:
    """The contrast of every layer from plain loops; the largest is the one that compare names."""
    layers, _ = cohort()
    contrasts = {}
    for region in LAYERS:
        mine = ("layer_shapley", "layer", region)
        values = {row["scan_id"]: row["value"] for row in layers
                  if (row["method"], row["region_kind"], row["region"]) == mine}  # fmt: skip
        sides = [(np.mean([values[f"p{s:03d}-{k}"] for k in range(LEFT)]) + values[f"p{s:03d}-{LEFT}"]) / 2
                 for s in range(SUBJECTS)]  # fmt: skip
        contrasts[region] = np.mean(sides[0::2]) - np.mean(sides[1::2])
    top = max(contrasts, key=contrasts.__getitem__)
    by_side = make_reduction({"name": "side", "statistic": "mean", "hierarchy": {"levels": ["side"]}})
    cell = cell_of(compare(*cohort(), definitions=[by_side], replicates=199), "layer_shapley")
    row = next(r for r in cell["definitions"] if r["definition"] == "layer_shapley_by_side")
    assert contrasts["deep_fat"] < -0.8
    assert (row["top_contrast"]["region"], row["top_contrast"]["estimate"]) == (
        top, pytest.approx(contrasts[top], rel=1e-9))  # fmt: skip
    assert row["definition_sha256"] != cell["definitions"][0]["definition_sha256"]


def test_relatives_count_once(found: dict[str, Any]) -> None:
    for method, family in (("gradcam", "density"), ("layer_shapley", "removal")):
        cell = cell_of(found, method)
        mine = next(f for f in cell["families"] if f["family"] == family)
        by_name = {row["definition"]: row for row in cell["definitions"]}
        variants = [name for name in mine["definitions"] if name not in (*REDUCTIONS, method)]
        assert len(variants) >= 2 and {by_name[name]["family"] for name in variants} == {family}
    plain = compare(*cohort(), definitions=list(REDUCTIONS.values()), replicates=199)
    count = {(s["setup"], s["question"]): s["n_families"] for s in plain["setups"]}
    assert count == {(s["setup"], s["question"]): s["n_families"] for s in found["setups"]}


def test_other_hierarchies_leave_the_plain_rows_as_they_are(found: dict[str, Any]) -> None:
    plain = compare(*cohort(), definitions=list(REDUCTIONS.values()), replicates=199)
    for method in ("gradcam", "layer_shapley"):
        rows = {row["definition"]: row for row in cell_of(found, method)["definitions"]}
        for row in cell_of(plain, method)["definitions"]:
            other = rows[row["definition"]]
            assert other["muscle"] == pytest.approx(row["muscle"], rel=1e-12)  # one column is summed in another order
            assert {**other, "muscle": None} == {**row, "muscle": None}
        assert cell_of(plain, method)["hierarchies"] == []


def test_the_family_of_ones_own_definition_is_that_of_its_relatives() -> None:
    mine = [make_reduction({"name": f"a{i}", "statistic": "std", "normalise": {"kind": "max"}, "hierarchy": h})
            for i, h in enumerate([{"levels": ["side"]}, {"over": {"scan": "median"}}])]  # fmt: skip
    kin = relatives(mine)
    assert [kin.family(one) for one in mine] == ["a0", "a0"] and kin.bases(mine[0]) == []
    of_mean = make_reduction({"name": "b", "statistic": "mean", "hierarchy": {"levels": ["visit"]}})
    assert relatives([of_mean]).family(of_mean) == "density" and relatives([of_mean]).bases(of_mean) == ["mean"]
    assert {name: relatives([]).family(one) for name, one in HIERARCHY_PRESETS.items() if "slice" in name} == {
        "mean_minmax_slice_z_average_of_slices_z": "slice density"
    }


def test_a_level_without_a_column_is_an_error_where_it_was_asked_for() -> None:
    visit = make_reduction({"name": "v", "statistic": "mean", "hierarchy": {"levels": ["visit"]}})
    with pytest.raises(ConfigError, match=r"level 'visit' needs the column 'visit'.*found of these levels: side"):
        compare(*cohort(), definitions=[visit], replicates=199)
    layers, scans = cohort()
    games = [row for row in layers if row["method"] == "layer_shapley"]
    with pytest.raises(ConfigError, match=r"layer_shapley_by_visit.*needs the column 'visit'"):
        compare(games, scans, definitions=[visit], replicates=199)
    (skipped,) = compare(games, scans, replicates=199)["cells"][0]["not_compared"]
    assert skipped["definition"] == "layer_shapley_by_side_visit"
    assert skipped["why"].startswith("hierarchy level 'visit' needs")


def test_every_answer_that_moved_is_in_the_rows(found: dict[str, Any]) -> None:
    for cell in found["cells"]:
        answers = {row["definition"]: row["answers"] for row in cell["definitions"]}
        for one in cell["hierarchies"]:
            moved = {c["question"]: (c["plain"], c["answer"]) for c in one["changes"]}
            pairs = {q: (answers[one["base"]][q], answers[one["definition"]][q]) for q in QUESTIONS}
            assert moved == {q: pair for q, pair in pairs.items() if pair[0] != pair[1]}
