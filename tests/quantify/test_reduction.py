"""Definitions as data: what they accept, what they refuse, and when two of them are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from layer_fast.errors import ConfigError
from layer_fast.quantify import (
    HIERARCHY_PRESETS,
    PRESETS,
    REDUCTIONS,
    STATISTICS,
    Reduction,
    make_reduction,
    read_reductions,
    reduction,
    reductions_yaml,
)
from layer_fast.quantify.statistics import StatisticName

FULL: dict[str, Any] = {
    "schema_version": 1,
    "name": "full",
    "channels": "mean",
    "invert": "negate",
    "sign": "positive",
    "clip": {"percentiles": [1.0, 99.0], "voxels": "labelled"},
    "normalise": {"kind": "min_max", "scope": "slice", "axis": "y", "voxels": "labelled"},
    "mask": {"kind": "eroded", "mm": 0.5},
    "statistic": {"name": "top_k_intersection", "total": "labelled", "fraction": 0.1},
    "groups": {
        "fascia": {"members": ["superficial_fascial_membrane", "deep_fascial_membrane"], "pooling": "sum_of_shares"},
        "most": {"members": ["group:fascia", "muscle"], "pooling": "weights", "weights": [1.0, 2.0]},
    },
}
CHANGES: list[tuple[str, Any]] = [
    ("name", "other"),
    ("channels", "each"),
    ("invert", "none"),
    ("sign", "absolute"),
    ("clip", None),
    ("clip.percentiles", [2.0, 99.0]),
    ("clip.voxels", "all"),
    ("normalise.kind", "max"),
    ("normalise.axis", "z"),
    ("normalise.voxels", "all"),
    ("normalise", {"kind": "min_max", "voxels": "labelled"}),
    ("mask", {"kind": "hard"}),
    ("mask.mm", 0.25),
    ("statistic.name", "concept_influence"),
    ("statistic.total", "all"),
    ("statistic.fraction", 0.2),
    ("statistic", {"name": "top_k_intersection", "total": "labelled", "k": 3}),
    ("groups.fascia.members", ["superficial_fascial_membrane", "muscle"]),
    ("groups.fascia.pooling", "union"),
    ("groups.most.weights", [1.0, 3.0]),
    ("groups", {}),
    ("hierarchy", {"levels": ["side"]}),
    ("hierarchy", {"levels": ["visit", "side"]}),
    ("hierarchy", {"levels": ["side", "visit"]}),
    ("hierarchy", {"over": {"scan": "median"}}),
    ("hierarchy", {"slices": "y"}),
]


def changed(path: str, value: Any) -> dict[str, Any]:
    out = json.loads(json.dumps(FULL))
    *above, last = path.split(".")
    place = out
    for key in above:
        place = place[key]
    place[last] = value
    if path == "statistic.name":  # concept_influence is no part of a total
        out["groups"]["fascia"]["pooling"] = "union"
    return out


def backwards(value: Any) -> Any:
    return {k: backwards(v) for k, v in reversed(value.items())} if isinstance(value, dict) else value


def test_the_same_content_has_the_same_hash_in_any_order() -> None:
    one = make_reduction(FULL)
    assert make_reduction(backwards(FULL)).sha256_short == one.sha256_short == one.as_dict()["sha256"]
    assert len(one.sha256_short) == 12
    assert set(one.sha256_short) <= set("0123456789abcdef")


def test_defaults_written_out_change_nothing() -> None:
    short = make_reduction({"name": "a", "statistic": "share"})
    written = make_reduction({**json.loads(short.canonical), "statistic": {"name": "share", "total": "all"}})
    assert short == written
    assert short.sha256_short == written.sha256_short
    assert make_reduction({"name": "a", "statistic": {"name": "quantile", "q": 1}}).sha256_short == (
        make_reduction({"name": "a", "statistic": {"name": "quantile", "q": 1.0}}).sha256_short
    )


def test_any_field_changed_is_another_hash() -> None:
    found = [make_reduction(FULL).sha256_short, *(make_reduction(changed(*c)).sha256_short for c in CHANGES)]
    assert len(set(found)) == len(CHANGES) + 1
    tried = {path.split(".")[0] for path, _ in CHANGES}
    assert tried == set(Reduction.model_fields) - {"schema_version"}


def test_hashes_do_not_move() -> None:
    """A definition that was written into a table must be found again: these are promises."""
    assert make_reduction(FULL).sha256_short == "c47f490e42a0"
    assert REDUCTIONS["mean"].sha256_short == "1f256855e0a7"


def test_a_hierarchy_that_says_nothing_new_changes_no_hash() -> None:
    for plain in ({}, {"levels": []}, {"over": {"scan": "mean"}}, {"ratio": "mean_of_ratios", "slices": None}):
        one = make_reduction({**FULL, "hierarchy": plain})
        assert one.sha256_short == make_reduction(FULL).sha256_short and "hierarchy" not in one.fields
    short, written = {"levels": ["side"]}, {"levels": ["side"], "over": {"side": "mean", "scan": "mean"}}
    hashes = {make_reduction({**FULL, "hierarchy": one}).sha256_short for one in (short, written)}
    assert len(hashes) == 1
    pooled = make_reduction({"name": "a", "statistic": "mean", "hierarchy": {"ratio": "ratio_of_means"}})
    assert pooled.sha256_short != make_reduction({"name": "a", "statistic": "mean"}).sha256_short


@pytest.mark.parametrize("found", [list(REDUCTIONS.values()), list(HIERARCHY_PRESETS.values()), [make_reduction(FULL)]])
def test_yaml_round_trip(found: list[Reduction], tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_bytes(reductions_yaml(found))
    again = read_reductions(path)
    assert again == found
    assert [one.sha256_short for one in again] == [one.sha256_short for one in found]


def test_one_definition_needs_no_list_and_json_is_yaml(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(FULL))
    (tmp_path / "d.json").write_text(json.dumps([FULL]))
    assert read_reductions(tmp_path / "d.yaml") == read_reductions(tmp_path / "d.json") == [make_reduction(FULL)]


MEAN = {"name": "a", "statistic": "mean"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "a"}, "statistic"),
        ({"statistic": "mean"}, "name"),
        ({**MEAN, "name": "a b"}, "name"),
        ({**MEAN, "surprise": 1}, "surprise"),
        ({**MEAN, "schema_version": 2}, "schema_version"),
        ({**MEAN, "sign": "square"}, "sign"),
        ({**MEAN, "channels": "median"}, "channels"),
        ({**MEAN, "invert": True}, "invert"),
        ({**MEAN, "statistic": "LAYER"}, "'LAYER'"),
        ({**MEAN, "statistic": {"name": "mean", "total": "all"}}, "no parameters, found total"),
        ({**MEAN, "statistic": {"name": "quantile"}}, "quantile needs q"),
        ({**MEAN, "statistic": {"name": "quantile", "q": 1.5}}, "q"),
        ({**MEAN, "statistic": {"name": "top_k_intersection"}}, "found neither"),
        ({**MEAN, "statistic": {"name": "top_k_intersection", "k": 3, "fraction": 0.1}}, "found both"),
        ({**MEAN, "statistic": {"name": "top_k_intersection", "k": 0}}, "k"),
        ({**MEAN, "clip": {"percentiles": [99, 1]}}, "low < high"),
        ({**MEAN, "clip": {"percentiles": [1]}}, "percentiles"),
        ({**MEAN, "normalise": {"kind": "min_max", "scope": "slice"}}, "found none"),
        ({**MEAN, "normalise": {"kind": "min_max", "axis": "z"}}, "found 'z' with scope 'volume'"),
        ({**MEAN, "normalise": {"kind": "none", "voxels": "labelled"}}, "takes no scope"),
        ({**MEAN, "mask": {"kind": "eroded"}}, "mm"),
        ({**MEAN, "mask": {"kind": "hard", "mm": 1.0}}, "mm"),
        ({**MEAN, "statistic": "median", "mask": {"kind": "soft"}}, "not defined for a soft mask"),
        (
            {**MEAN, "mask": {"kind": "soft"}, "normalise": {"kind": "max", "voxels": "labelled"}},
            "soft mask has no set",
        ),
        ({**MEAN, "statistic": "share", "normalise": {"kind": "z_score"}}, "z-score has negative values"),
        ({**MEAN, "groups": {"g": {"members": []}}}, "groups.g.members"),
        ({**MEAN, "groups": {"g": {"members": ["muscle", "muscle"]}}}, "each once"),
        ({**MEAN, "groups": {"g": {"members": ["muscle"], "weights": [1.0]}}}, "weights"),
        ({**MEAN, "groups": {"g": {"members": ["muscle"], "pooling": "weights", "weights": [1.0, 2.0]}}}, "found 2"),
        ({**MEAN, "groups": {"g": {"members": ["muscle"], "pooling": "sum_of_shares"}}}, "parts of one total"),
        ({**MEAN, "groups": {"g\n": {"members": ["muscle"]}}}, "names of letters"),
        ({**MEAN, "hierarchy": {"levels": ["hospital"]}}, "hierarchy.levels.0"),
        ({**MEAN, "hierarchy": {"levels": "side"}}, "hierarchy.levels"),
        ({**MEAN, "hierarchy": {"levels": ["side", "side"]}}, "each once"),
        ({**MEAN, "hierarchy": {"levels": [["side"]]}}, "hierarchy.levels.0"),
        ({**MEAN, "hierarchy": {"over": {"side": "mean"}}}, "units of this hierarchy, scan, found 'side'"),
        ({**MEAN, "hierarchy": {"over": {"slice": "mean"}}}, "found 'slice'"),
        ({**MEAN, "hierarchy": {"over": {"subject": "median"}}}, "subjects are averaged"),
        ({**MEAN, "hierarchy": {"over": {"scan": "max"}}}, "hierarchy.over.scan"),
        ({**MEAN, "hierarchy": {"surprise": 1}}, "surprise"),
        ({**MEAN, "statistic": "std", "hierarchy": {"ratio": "ratio_of_means"}}, "std is no quotient"),
        ({**MEAN, "normalise": {"kind": "max", "scope": "slice", "axis": "y"}, "hierarchy": {"slices": "z"}},
         "expected y, the axis of normalise"),
        ([], "expected a mapping"),
    ],
)
def test_refusals_name_the_field(fields: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=r"^here: ") as caught:
        make_reduction(fields, "here")
    assert said in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_a_file_at_fault_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for text, said in (
        ("- {name: a, statistic: mean}\n- {name: b, statistic: nothing}", "definition 2"),
        ("- {name: a, statistic: mean}\n- {name: a, statistic: sum}", "two different definitions are called 'a'"),
        ("a: &x 1\nb: *x", "alias"),
        ("[]", "found none"),
        ("3", "found int"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=said) as caught:
            read_reductions(path)
        assert "mine.yaml" in str(caught.value)
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        read_reductions(tmp_path / "absent.yaml")


def test_every_statistic_is_described() -> None:
    assert set(STATISTICS) == set(get_args(StatisticName))
    assert all(facts.formula and facts.range and facts.source for facts in STATISTICS.values())
    for name in ("enrichment", "concept_influence", "inside_total_ratio"):
        assert STATISTICS[name].cap and "cap" in STATISTICS[name].across_layers, name
    assert STATISTICS["rank_overlap"].across_layers, "its K differs between layers"
    assert [name for name, facts in STATISTICS.items() if facts.cohort] == ["gain"]


def test_presets_have_honest_names() -> None:
    assert "LAYER" not in {name.upper() for name in REDUCTIONS}
    assert {name for name, preset in PRESETS.items() if preset.kind == "map"} <= set(REDUCTIONS)
    assert len({one.sha256_short for one in REDUCTIONS.values()}) == len(REDUCTIONS)
    assert reduction("mean").steps == "t = s"
    with pytest.raises(KeyError, match="enrichment"):
        reduction("LAYER")
