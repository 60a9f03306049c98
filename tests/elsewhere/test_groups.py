"""Groups: how their members' numbers become one, and groups of groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from map_lines import numbers, table

from layer_fast import GROUPS, quantify_map
from layer_fast.errors import ConfigError
from layer_fast.quantify import REDUCTIONS, house_groups

LABELS = [0, 1, 1, 1, 1, 2, 2]
VALUES = [1, 1, 1, 1, 1, 4, 2]  # means 1, 1, 3; sums 1, 4, 6 of 11


def of(pooling: str, statistic: Any = "mean", members: tuple[str, ...] = ("a", "b"), **more: Any) -> float:
    return numbers(VALUES, LABELS, statistic, groups={"g": {"members": list(members), "pooling": pooling, **more}})[
        "group:g"
    ]


def test_every_pooling() -> None:
    assert of("union") == 10 / 6
    assert of("mean_of_means") == 2.0
    assert of("max") == 3.0
    assert of("weights", weights=[3.0, 1.0]) == 1.5
    assert of("sum_of_shares", "share") == of("union", "share") == pytest.approx(10 / 11)
    assert of("mean_of_means", "share") == pytest.approx(5 / 11)
    assert of("union", "median") == 1.0
    assert of("mean_of_means", "median") == 2.0
    assert of("union", "pointing_game") == 1.0


def test_weights_of_volumes_make_the_union() -> None:
    assert of("weights", weights=[4.0, 2.0]) == pytest.approx(of("union"))


def test_groups_of_groups() -> None:
    groups = {
        "inner": {"members": ["b", "background"], "pooling": "mean_of_means"},
        "outer": {"members": ["a", "group:inner"], "pooling": "mean_of_means"},
        "all": {"members": ["group:outer"], "pooling": "union"},
    }
    found = numbers(VALUES, LABELS, "mean", groups=groups)
    assert found["group:inner"] == 2.0
    assert found["group:outer"] == 1.5, "the mean of the layer and of the group's own mean"
    assert found["group:all"] == 11 / 7, "a union takes the voxels, whatever the inner pooling"


def test_absent_members_are_left_out_and_said() -> None:
    for pooling, expected in (("mean_of_means", 2.0), ("max", 3.0), ("union", 10 / 6)):
        rows = table(VALUES, LABELS, "mean", groups={"g": {"members": ["a", "b", "c"], "pooling": pooling}})
        assert rows["group:g"]["value"] == expected
        assert ("members_absent" in rows["group:g"]["flags"].split(";")) == (pooling != "union")
    assert of("weights", members=("a", "b", "c"), weights=[1.0, 1.0, 98.0]) == 2.0
    rows = table(VALUES, LABELS, "mean", groups={"g": {"members": ["c"], "pooling": "mean_of_means"}})
    assert (rows["group:g"]["present"], np.isnan(rows["group:g"]["value"])) == (False, True)


def test_a_member_without_a_value_leaves_none() -> None:
    """Background has no share of the labelled voxels."""
    share = {"name": "share", "total": "labelled"}
    for pooling in ("sum_of_shares", "mean_of_means", "max", "union"):
        assert np.isnan(of(pooling, share, ("a", "background")))


def test_caps_only_where_they_are_known() -> None:
    groups = {"u": {"members": ["a", "b"]}, "m": {"members": ["a", "b"], "pooling": "mean_of_means"}}
    rows = table(VALUES, LABELS, "enrichment", groups=groups)
    assert rows["group:u"]["cap"] == 7 / 6
    assert rows["group:m"]["cap"] is None


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"g": {"members": ["d"]}}, "group 'g' has the member 'd'; there are: background, a, b, c, group:g"),
        ({"g": {"members": ["group:h"]}}, "'group:h'"),
        ({"g": {"members": ["group:g"]}}, "member of itself, by way of g > g"),
        ({"g": {"members": ["group:h"]}, "h": {"members": ["a", "group:g"]}}, "by way of g > h > g"),
    ],
)
def test_groups_that_cannot_be(groups: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        numbers(VALUES, LABELS, "mean", groups=groups)
    assert said in str(caught.value)


def test_a_sum_counts_no_voxel_twice() -> None:
    groups = {"h": {"members": ["a", "b"]}, "g": {"members": ["a", "group:h"], "pooling": "sum_of_shares"}}
    with pytest.raises(ConfigError, match="overlap"):
        numbers(VALUES, LABELS, "share", groups=groups)


def test_the_groups_of_the_house() -> None:
    labels = np.arange(7)[None, None]
    table_ = quantify_map(np.arange(7, dtype=np.float32)[None, None], labels, definitions="mean")
    found = {row["region"]: row["value"] for row in table_.rows if row["region_kind"] == "group"}
    assert found == {name: np.mean(members) for name, members in GROUPS.items()}
    macro = REDUCTIONS["mean"].model_copy(update={"groups": house_groups("mean_of_means")})
    assert macro.sha256_short != REDUCTIONS["mean"].sha256_short


def test_other_layers_need_other_groups() -> None:
    s, labels = np.ones((1, 1, 3), np.float32), np.array([0, 1, 5])[None, None]
    with pytest.raises(
        ConfigError, match="'mean': group 'muscle' has the member 'muscle'; there are: background, skin"
    ):
        quantify_map(s, labels, layers={"skin": 1, "bone": 5})
    given = {"both": {"members": ["skin", "bone"]}}
    found = quantify_map(s, labels, layers={"skin": 1, "bone": 5}, groups=given, definitions="sum")
    assert [(r["region"], r["label_value"], r["value"]) for r in found.rows] == [
        ("background", 0, 1.0), ("skin", 1, 1.0), ("bone", 5, 1.0), ("both", None, 2.0)
    ]  # fmt: skip
    assert found.rows[0]["definition_sha256"] != REDUCTIONS["sum"].sha256_short
