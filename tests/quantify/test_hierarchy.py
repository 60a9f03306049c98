"""Hierarchies: numbers worked out by hand, plain loops as oracle, and what is refused."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np
import pytest

from layer_fast.errors import ConfigError
from layer_fast.quantify import REDUCTIONS, Settings, make_reduction
from layer_fast.quantify.cohort import Subjects, subjects_of
from layer_fast.quantify.stored import EXACT, HISTOGRAM, NEEDS_VOLUMES, OnSubjects, evaluate, on_subjects, stored_maps
from oracle_hierarchy import subject_number
from stored_maps_tables import random_case, tables

LEVELS = ("repeat", "side", "visit", "site")


def scans_of(columns: list[dict[str, Any]], subjects: list[str]) -> dict[str, dict[str, Any]]:
    return {f"s{i:03d}": {"scan_id": f"s{i:03d}", "subject": who, "label": "case", "status": "ok", **one}
            for i, (one, who) in enumerate(zip(columns, subjects, strict=True))}  # fmt: skip


def evaluated(
    maps: list[np.ndarray], masks: list[np.ndarray], subjects: list[str], columns: list[dict[str, Any]], *kept: str,
    **fields: Any,
) -> OnSubjects:  # fmt: skip
    definition = make_reduction({"name": "it", "statistic": "mean", **fields})
    found = tables(maps, masks, definition.hierarchy.slices or "z", subjects=subjects)
    (cell,) = stored_maps(found["layers"], **{name: found[name] for name in kept})
    return on_subjects(cell, definition, who(cell, scans_of(columns, subjects)))


def who(maps: Any, scans: dict[str, dict[str, Any]]) -> Subjects:
    return subjects_of(maps.cell, scans, Settings())


def flat(value: float, muscle: int, rest: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A map (1, 2, 100) that is `value` in `muscle` voxels of muscle and `rest` in 100 of deep fat."""
    s, mask = np.zeros((1, 2, 100), np.float32), np.zeros((1, 2, 100), np.uint8)
    mask[0, 0, :muscle], s[0, 0, :muscle] = 6, value
    mask[0, 1], s[0, 1] = 4, rest
    return s, mask


def muscle(found: OnSubjects) -> float:
    return float(found.value[0, 6])


def test_thirty_scans_of_one_side_and_one_of_the_other() -> None:
    """Left: thirty scans of 2. Right: one of 10. Over scans (30 * 2 + 10) / 31; by side (2 + 10) / 2."""
    maps, masks = zip(*([flat(2.0, 50)] * 30 + [flat(10.0, 50)]), strict=True)
    sides = [{"side": "left"}] * 30 + [{"side": "right"}]
    given = list(maps), list(masks), ["p"] * 31, sides
    assert muscle(evaluated(*given)) == pytest.approx(70 / 31, rel=1e-12)
    assert muscle(evaluated(*given, hierarchy={"levels": ["side"]})) == pytest.approx(6.0, rel=1e-12)
    assert muscle(evaluated(*given, hierarchy={"over": {"scan": "median"}})) == pytest.approx(2.0, rel=1e-12)


def test_unbalanced_scans_tell_ratio_of_means_from_mean_of_ratios() -> None:
    """Scan a: 10 voxels of 9, scan b: 90 of 1, fat 100 of 1. Mean: (9 + 1) / 2 = 5 against (90 + 90) / (10 + 90) = 1.8.
    Share: (90/190 + 90/190) / 2 = 9/19 in both, for equal totals. With fat 4 in b: (90/190 + 90/490) / 2 against
    180 / 680. Enrichment in a: (90/10) / (190/200) ..., pooled (180/100) / (680/400)."""
    for fat, share in ((1.0, 9 / 19), (4.0, 180 / 680)):
        maps, masks = zip(flat(9.0, 10), flat(1.0, 90, fat), strict=True)
        given = list(maps), list(masks), ["p", "p"], [{}, {}]
        pooled = {"hierarchy": {"ratio": "ratio_of_means"}}
        assert muscle(evaluated(*given)) == pytest.approx(5.0, rel=1e-12)
        assert muscle(evaluated(*given, **pooled)) == pytest.approx(1.8, rel=1e-12)
        assert muscle(evaluated(*given, statistic="share", **pooled)) == pytest.approx(share, rel=1e-12)
        each = (90 / 190 + 90 / (90 + 100 * fat)) / 2
        assert muscle(evaluated(*given, statistic="share")) == pytest.approx(each, rel=1e-12)
    assert muscle(evaluated(*given, statistic="enrichment", **pooled)) == pytest.approx(1.8 / 1.7, rel=1e-12)
    part = muscle(evaluated(*given, statistic="part_of_total_mean", **pooled))
    assert part == pytest.approx(180 / 400, rel=1e-12)


def test_repeats_sides_and_visits_are_joined_from_the_inside() -> None:
    """Visit 1: left {1, 3}, right {8}; visit 2: left {20}. By side in visit: (2 + 8) / 2 = 5, 20 -> 12.5; by visit in
    side: left (2 + 20) / 2 = 11, right 8 -> 9.5; visits alone: (12 / 3 + 20) / 2 = 12."""
    maps, masks = zip(*(flat(v, 50) for v in (1.0, 3.0, 8.0, 20.0)), strict=True)
    columns = [{"side": side, "visit": visit, "repeat": str(i)}
               for i, (side, visit) in enumerate([("l", "1"), ("l", "1"), ("r", "1"), ("l", "2")])]  # fmt: skip
    given = list(maps), list(masks), ["p"] * 4, columns
    for levels, expected in ((["side", "visit"], 12.5), (["visit", "side"], 9.5), (["visit"], 12.0),
                             (["repeat", "side", "visit"], 12.5), (["repeat"], 8.0)):  # fmt: skip
        assert muscle(evaluated(*given, hierarchy={"levels": levels})) == pytest.approx(expected, rel=1e-12), levels
    found = evaluated(*given, hierarchy={"levels": ["visit"], "over": {"scan": "median", "visit": "mean"}})
    assert muscle(found) == pytest.approx((3 + 20) / 2, rel=1e-12)


def test_scans_without_a_value_are_a_unit_of_their_own() -> None:
    """Left 2, 4; two scans without a side 10, 20: (3 + 15) / 2, and two are counted."""
    maps, masks = zip(*(flat(v, 50) for v in (2.0, 4.0, 10.0, 20.0)), strict=True)
    columns = [{"side": "left"}, {"side": "left"}, {"side": None}, {"side": ""}]
    found = evaluated(list(maps), list(masks), ["p"] * 4, columns, hierarchy={"levels": ["side"]})
    assert muscle(found) == pytest.approx(9.0, rel=1e-12) and found.empty == {"side": 2}


def test_slices_have_an_equal_say() -> None:
    """Slice 0: 10 muscle voxels of 9, slice 1: 90 of 1. Volume 1.8; per slice (9 + 1) / 2 = 5; the ratio of the slices'
    mean sums is the volume's again. A slice without muscle has no say."""
    s, mask = (np.concatenate(x) for x in zip(flat(9.0, 10), flat(1.0, 90), flat(7.0, 0), strict=True))
    given = [s], [mask], ["p"], [{}], "slices"
    assert muscle(evaluated(*given)) == pytest.approx(1.8, rel=1e-12)
    assert muscle(evaluated(*given, hierarchy={"slices": "z"})) == pytest.approx(5.0, rel=1e-12)
    both = {"slices": "z", "ratio": "ratio_of_means"}
    assert muscle(evaluated(*given, hierarchy=both)) == pytest.approx(1.8, rel=1e-12)
    share = evaluated(*given, statistic="share", hierarchy={"slices": "z"})
    assert muscle(share) == pytest.approx(90 / 190, rel=1e-12)


WAYS = [
    *({"levels": list(levels)} for n in (0, 1, 2, 3) for levels in itertools.permutations(LEVELS[:3], n)),
    {"levels": ["side", "site"], "over": {"side": "median"}},
    {"levels": ["repeat", "side"], "over": {"scan": "median", "repeat": "median", "side": "median"}},
    {"over": {"scan": "median"}},
]


def case(seed: int) -> tuple[list[np.ndarray], list[np.ndarray], list[str], list[dict[str, Any]]]:
    """Twelve scans of four subjects in an order of their own, some without a layer, a side or a visit."""
    maps, masks = random_case(seed, scans=12, rectified=True)
    rng = np.random.default_rng(seed)
    subjects = [f"p{i:02d}" for i in rng.permutation([0] * 7 + [1] * 2 + [2] * 2 + [3])]
    columns = [{"side": rng.choice(["l", "r", ""]), "visit": rng.choice(["1", "2", "3"]), "site": rng.choice(["a", ""]),
                "repeat": rng.choice(["1", "2"])} for _ in subjects]  # fmt: skip
    maps[3] = np.zeros_like(maps[3])  # no mass
    return maps, masks, subjects, columns


def units_of(s: np.ndarray, mask: np.ndarray, label: int, slices: str | None) -> list[tuple[float, ...]]:
    parts = [(s, mask)]
    if slices is not None:
        axis = "zyx".index(slices)
        parts = list(zip(np.moveaxis(s, axis, 0), np.moveaxis(mask, axis, 0), strict=True))
    return [(float(x[m == label].astype(np.float64).sum()), float((m == label).sum()),
             float(x.astype(np.float64).sum()), float(x.size)) for x, m in parts]  # fmt: skip


@pytest.mark.parametrize("statistic", ["mean", "share", "enrichment", "part_of_total_mean"])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("slices", [None, "z", "y"])
def test_every_way_agrees_with_plain_loops(statistic: str, pooled: bool, slices: str | None) -> None:
    maps, masks, subjects, columns = case(7)
    stored = tables(maps, masks, slices or "z", subjects=subjects)
    (cell,) = stored_maps(stored["layers"], slices=stored["slices"])
    people = who(cell, scans_of(columns, subjects))
    units = [[units_of(s, m, label, slices) for label in range(7)] for s, m in zip(maps, masks, strict=True)]
    compared = 0
    for way in WAYS:
        over = {**way.get("over", {}), **({"slice": "median"} if slices == "y" else {})}
        ratio = "ratio_of_means" if pooled else "mean_of_ratios"
        fields = {**way, "over": over, "ratio": ratio, **({"slices": slices} if slices else {})}
        found = on_subjects(cell, make_reduction({"name": "it", "statistic": statistic, "hierarchy": fields}), people)
        assert (found.how == EXACT).all() and not found.error_bound.any()
        for label in range(7):
            rows = [{**c, "subject": p, "units": of[label]}
                    for p, c, of in zip(subjects, columns, units, strict=True)]  # fmt: skip
            for i, name in enumerate(sorted(set(subjects))):
                expected = subject_number(
                    [row for row in rows if row["subject"] == name], statistic, levels=way.get("levels", []),
                    over=over, pooled=pooled, sliced=slices is not None,
                )  # fmt: skip
                assert found.value[i, label] == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)
                compared += expected == expected
    assert compared > 200


@pytest.mark.parametrize("scope", ["slice", "volume", "subject", "cohort"])
def test_slices_of_a_map_that_was_normalised_by_any_scope(scope: str) -> None:
    """Mean over slices of the slice's mean of (s - m) / (M - m), with m and M of the slice, the scan, ... by loops."""
    maps, masks, subjects, columns = case(9)
    spec = {"kind": "min_max", "scope": scope, **({"axis": "z"} if scope == "slice" else {})}
    found = evaluated(maps, masks, subjects, columns, "slices", normalise=spec, hierarchy={"slices": "z"})
    pool = {"slice": None, "volume": range(len(maps)), "subject": subjects, "cohort": ["all"] * len(maps)}[scope]
    compared = 0
    for label in range(7):
        for i, name in enumerate(sorted(set(subjects))):
            scans = []
            for k in (k for k, p in enumerate(subjects) if p == name):
                slices = []
                for s, m in zip(maps[k].astype(np.float64), masks[k], strict=True):
                    of = s if pool is None else np.stack([x for x, p in zip(maps, pool, strict=True) if p == pool[k]])
                    if (m == label).any() and of.max() > of.min():
                        low, high = float(of.min()), float(of.max())
                        slices.append(float(((s[m == label] - low) / (high - low)).mean()))
                scans += [np.mean(slices)] if slices else []
            expected = float(np.mean(scans)) if scans else float("nan")
            assert found.value[i, label] == pytest.approx(expected, rel=1e-9, nan_ok=True)
            compared += expected == expected
    assert compared > 15


def test_the_plain_hierarchy_is_the_mean_over_scans_to_the_bit() -> None:
    maps, masks, subjects, columns = case(3)
    found = tables(maps, masks, subjects=subjects)
    (cell,) = stored_maps(found["layers"])
    people = who(cell, scans_of(columns, subjects))
    for name in ("mean", "mean_minmax_volume", "share_of_labelled", "std"):
        scan_level = evaluate(cell, REDUCTIONS[name]).value
        np.testing.assert_array_equal(on_subjects(cell, REDUCTIONS[name], people).value, people.mean(scan_level))


def test_groups_that_are_no_unions_are_pooled_where_the_ratio_is() -> None:
    """Ratio of means: (muscle's pooled mean + deep fat's) / 2, from the subject's own numbers."""
    maps, masks = zip(flat(9.0, 10), flat(1.0, 90, 4.0), strict=True)
    groups = {"two": {"members": ["deep_fat", "muscle"], "pooling": "mean_of_means"}}
    given = list(maps), list(masks), ["p", "p"], [{}, {}]
    found = evaluated(*given, groups=groups, hierarchy={"ratio": "ratio_of_means"})
    assert float(found.value[0, 7]) == pytest.approx((1.8 + 2.5) / 2, rel=1e-12)


def test_bounds_of_scans_become_bounds_of_subjects() -> None:
    maps, masks, subjects, columns = case(5)
    way = {"levels": ["side"], "over": {"scan": "median"}}
    found = evaluated(maps, masks, subjects, columns, "histograms", statistic="median", hierarchy=way)
    assert (found.how == HISTOGRAM).sum() > 5 and not (found.how == NEEDS_VOLUMES).any()
    inside = 0
    for label in range(7):
        for i, name in enumerate(sorted(set(subjects))):
            rows = [{**c, "units": [(float(np.median(s[m == label])) if (m == label).any() else 0.0,
                                     float((m == label).any()), 0.0, 0.0)]}
                    for s, m, p, c in zip(maps, masks, subjects, columns, strict=True) if p == name]  # fmt: skip
            expected = subject_number(rows, "mean", levels=["side"], over=way["over"], pooled=False, sliced=False)
            if expected == expected:
                room = found.error_bound[i, label] + 1e-6 * abs(expected)
                assert abs(found.value[i, label] - expected) <= room
                inside += 1
    assert inside > 10


def test_a_median_of_bounds_is_bounded_by_the_medians_of_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """0..10, 6 and 6.5: the median lies in 6..6.5, which the median of the middles (6) would not say."""
    maps, masks = zip(*[flat(1.0, 50)] * 3, strict=True)

    def bounded(cell: Any, definition: Any) -> Any:
        found = evaluate(cell, definition)
        how, value, bound = found.how.copy(), found.value.copy(), found.error_bound.copy()
        how[0, 6], value[:, 6], bound[0, 6] = HISTOGRAM, (5.0, 6.0, 6.5), 5.0
        return found._replace(how=how, value=value, error_bound=bound)

    monkeypatch.setattr(sys.modules[on_subjects.__module__], "evaluate", bounded)
    found = evaluated(list(maps), list(masks), ["p"] * 3, [{}] * 3, hierarchy={"over": {"scan": "median"}})
    assert (muscle(found), found.error_bound[0, 6], found.how[0, 6]) == (6.25, 0.25, HISTOGRAM)
    assert (found.how[0, :6] == EXACT).all()


def test_a_cell_of_which_no_scan_counts_has_no_subjects() -> None:
    maps, masks, subjects, columns = case(2)
    failed = [{**one, "status": "failed"} for one in columns]
    for ratio in ("mean_of_ratios", "ratio_of_means"):
        found = evaluated(maps, masks, subjects, failed, hierarchy={"levels": ["side"], "ratio": ratio})
        assert found.value.shape == (0, 11)


@pytest.mark.parametrize(
    ("fields", "kept", "why"),
    [
        ({"hierarchy": {"slices": "y"}}, (), "slice along y"),
        ({"hierarchy": {"slices": "z"}, "statistic": "median"}, ("slices", "histograms"), "of volumes, not of slices"),
        ({"hierarchy": {"slices": "z"}, "clip": {"percentiles": [1.0, 99.0]}}, ("slices",), "percentiles"),
        ({"hierarchy": {"ratio": "ratio_of_means"}, "clip": {"percentiles": [1.0, 99.0]}}, ("histograms",), "no sums"),
        ({"hierarchy": {"levels": ["side"]}, "statistic": "median"}, (), "no histograms"),
        ({"hierarchy": {"levels": ["side"]}, "mask": {"kind": "eroded", "mm": 1.0}}, (), "eroded"),
    ],
)
def test_what_is_not_stored_needs_volumes(fields: dict[str, Any], kept: tuple[str, ...], why: str) -> None:
    found = evaluated(*case(1), *kept, **fields)
    assert (found.how == NEEDS_VOLUMES).any() and why in found.why
    assert np.isnan(found.value[found.how == NEEDS_VOLUMES]).all()


def test_a_level_without_its_column_is_refused() -> None:
    maps, masks = zip(flat(1.0, 50), flat(2.0, 50), strict=True)
    given = list(maps), list(masks), ["p", "p"]
    with pytest.raises(ConfigError, match=r"definition 'it'.*level 'side' needs the column 'side'.*levels: visit"):
        evaluated(*given, [{"visit": "1"}] * 2, hierarchy={"levels": ["side"]})
    with pytest.raises(ConfigError, match="found none in any scan that counts"):
        evaluated(*given, [{"side": ""}, {"side": None}], hierarchy={"levels": ["side"]})
