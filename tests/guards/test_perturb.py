"""Perturbed masks voxel by voxel: against a slow rule written apart, never below the least Dice, by thickness."""

from __future__ import annotations

from itertools import combinations, groupby
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from layer_fast.guards import LEAST_DICE, PERTURBATIONS, label_dice, perturbed

Labels = NDArray[np.uint8]


def column(*labels: int) -> Labels:
    return np.array(labels, np.uint8)[None, :, None]


def depth(array: Labels) -> list[int]:
    return [int(v) for v in array[0, :, 0]]


def dice(first: set[int], second: set[int]) -> float:
    return 2 * len(first & second) / (len(first) + len(second))


def wins(one: int, other: int, upper: bool, how: str, size: dict[int, float]) -> bool:
    """Whether `one` takes a voxel of `other`; upper: it lies above."""
    if how in ("shallower", "deeper"):
        return upper == (how == "deeper")
    rarer = (size[one], one) < (size[other], other)
    return rarer == (how == "dilate")


def slow(labels: list[int], how: str, size: dict[int, float]) -> list[int]:
    """One column, run by run, with sets of voxels."""
    runs, start = [], 0
    for label, group in groupby(labels):
        n = len(list(group))
        runs.append((label, start, start + n))
        start += n
    agreed = []
    for r, (label, first, stop) in enumerate(runs):
        own, changes = set(range(first, stop)), {}
        if r > 0:
            changes[r - 1] = (first - 1, wins(label, runs[r - 1][0], False, how, size), size[runs[r - 1][0]], 0)
        if r < len(runs) - 1:
            changes[r] = (stop - 1, wins(label, runs[r + 1][0], True, how, size), size[runs[r + 1][0]], 1)
        options = []
        for k in range(3):
            for chosen in combinations(changes, k):
                now = set(own)
                for border in chosen:
                    edge, won, _, below = changes[border]
                    if won:
                        now |= {edge + 1 if below else edge}
                    else:
                        now -= {edge if below else edge + 1}
                if dice(own, now) >= 0.61:
                    best = max((changes[b][2:] for b in chosen), default=(0, 0))
                    options.append((dice(own, now), [-x for x in best], set(chosen)))
        agreed.append(min(options, key=lambda o: o[:2])[2])
    out = list(labels)
    for border in range(len(runs) - 1):
        if border in agreed[border] and border in agreed[border + 1]:
            edge = runs[border][2]
            upper_won = wins(runs[border][0], runs[border + 1][0], True, how, size)
            out[edge if upper_won else edge - 1] = runs[border][0] if upper_won else runs[border + 1][0]
    return out


def layered(seed: int) -> Labels:
    """Columns (2, 24, 12) of layers in order, of no to nine voxels each, cut off by the end of the volume."""
    rng = np.random.default_rng(seed)
    top = rng.integers(1, 10)
    thick = rng.integers(0, top, (2, 12, 7))
    thick[..., 6] = 24
    found = [np.repeat(np.arange(7), t)[:24] for t in thick.reshape(-1, 7)]
    return np.ascontiguousarray(np.array(found, np.uint8).reshape(2, 12, 24).transpose(0, 2, 1))


def cases() -> list[Labels]:
    noise = [np.random.default_rng(s).integers(0, 7, (2, 9, 3)).astype(np.uint8) for s in range(4)]
    return [*(layered(s) for s in range(24)), *noise]


@pytest.mark.parametrize("how", PERTURBATIONS)
def test_every_column_is_what_the_slow_rule_gives(how: str) -> None:
    for labels in cases():
        size = {k: float((labels == k).sum()) if k else np.inf for k in range(7)}
        found = perturbed(labels, how)
        for z, x in np.ndindex(labels.shape[0], labels.shape[2]):
            assert found[z, :, x].tolist() == slow(labels[z, :, x].tolist(), how, size)


@pytest.mark.parametrize("how", PERTURBATIONS)
def test_no_label_falls_below_the_least_dice_in_any_column(how: str) -> None:
    changed = 0
    for labels in cases():
        found = perturbed(labels, how)
        changed += int((found != labels).sum())
        for z, x in np.ndindex(labels.shape[0], labels.shape[2]):
            per_label = label_dice(labels[z, :, x], found[z, :, x])
            assert (per_label[~np.isnan(per_label)] >= LEAST_DICE).all()
    assert changed > 500


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("shallower", [0, 1, 1, 1, 5, 5, 6, 6, 6, 6]),
        ("deeper", [0, 0, 0, 1, 1, 5, 5, 6, 6, 6]),
        ("dilate", [0, 1, 1, 1, 1, 5, 5, 6, 6, 6]),
        ("erode", [0, 0, 0, 1, 1, 5, 6, 6, 6, 6]),
    ],
)
def test_borders_move_along_the_depth_axis(how: str, expected: list[int]) -> None:
    labels = column(0, 0, 1, 1, 1, 5, 6, 6, 6, 6)
    assert depth(perturbed(labels, how)) == expected
    turned = np.ascontiguousarray(np.moveaxis(labels, 1, 0))
    assert [int(v) for v in perturbed(turned, how, "z").ravel()] == expected


THICKNESSES = (1, 2, 3, 4, 5, 8, 20)


def of_thickness(n: int) -> dict[str, float]:
    """Dice of a rare layer of n voxels between two common ones, by variant."""
    labels = column(*[4] * 30, *[5] * n, *[6] * 40)
    return {how: float(label_dice(labels, perturbed(labels, how))[5]) for how in PERTURBATIONS}


def test_dice_by_thickness() -> None:
    assert of_thickness(1) == pytest.approx({"erode": 1, "dilate": 2 / 3, "shallower": 2 / 3, "deeper": 2 / 3})
    assert of_thickness(2) == pytest.approx({"erode": 2 / 3, "dilate": 2 / 3, "shallower": 2 / 3, "deeper": 2 / 3})
    assert of_thickness(3) == pytest.approx({"erode": 4 / 5, "dilate": 3 / 4, "shallower": 2 / 3, "deeper": 2 / 3})
    assert of_thickness(4) == pytest.approx({"erode": 2 / 3, "dilate": 4 / 5, "shallower": 3 / 4, "deeper": 3 / 4})
    assert of_thickness(20) == pytest.approx({"erode": 18 / 19, "dilate": 20 / 21, "shallower": 0.95, "deeper": 0.95})


def test_the_guide_shows_the_dice_by_thickness() -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "guards.md").read_text(encoding="utf-8")
    for n in THICKNESSES:
        found = of_thickness(n)
        cells = " | ".join(f"{found[how]:.2f}" for how in ("erode", "dilate", "shallower"))
        assert found["shallower"] == found["deeper"]
        assert f"| {n} | {cells} |" in guide


def test_the_odd_voxel_is_taken_by_the_commoner_neighbour_else_the_deeper() -> None:
    more_above = column(*[4] * 5, *[5] * 3, *[6] * 4)
    assert depth(perturbed(more_above, "erode")) == [*[4] * 6, *[5] * 2, *[6] * 4]
    more_below = column(*[4] * 4, *[5] * 3, *[6] * 5)
    assert depth(perturbed(more_below, "erode")) == [*[4] * 4, *[5] * 2, *[6] * 6]
    assert depth(perturbed(column(6, 6, 6, 6, 5, 5, 6, 6, 6, 6), "erode")) == [6, 6, 6, 6, 5, 6, 6, 6, 6, 6]


def test_perturbations_do_nothing_to_one_label_and_refuse_unknown_names() -> None:
    one = np.full((2, 5, 2), 4, np.uint8)
    for how in PERTURBATIONS:
        assert np.array_equal(perturbed(one, how), one)
    with pytest.raises(ValueError, match="expected one of erode"):
        perturbed(one, "blur")


def test_dice_of_labels() -> None:
    first, second = column(0, 1, 1, 1, 2, 6), column(0, 0, 1, 1, 3, 6)
    expected = [2 / 3, 4 / 5, 0, 0, np.nan, np.nan, 1]
    assert label_dice(first, second) == pytest.approx(expected, nan_ok=True)
    with pytest.raises(ValueError, match="expected masks of one shape"):
        label_dice(first, second[:, :2])
