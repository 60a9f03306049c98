"""What is planted is there, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from layer_fast.types import REGIONS
from layer_fast.validation import light

MUSCLE = REGIONS.index("muscle")


def test_the_planted_shift_has_its_size_and_its_place() -> None:
    made = light.draw(light.Design(mean={("bmode", "muscle"): 2.0}), 4000, 5)
    gap = made.mean[made.is_case].mean(0) - made.mean[~made.is_case].mean(0)
    assert gap[0, MUSCLE] == pytest.approx(2.0, abs=0.1)
    gap[0, MUSCLE] = 0.0
    assert np.abs(gap).max() < 0.12
    assert np.abs(made.thickness[made.is_case].mean(0) - made.thickness[~made.is_case].mean(0)).max() < 0.12


def test_a_shift_of_the_mean_shows_in_that_layer_and_modality_only() -> None:
    made = light.draw(light.Design(mean={("bmode", "deep_fat"): 3.0}), 300, 6)
    for modality in light.MODALITIES:
        for k in range(len(REGIONS)):
            inside = np.array([v[m == k].mean() for v, m in zip(made.volumes[modality], made.labels, strict=True)])
            spread = inside.std(ddof=1) * np.sqrt(4 / 300)
            shown = abs(inside[made.is_case].mean() - inside[~made.is_case].mean()) > 4.5 * spread
            assert shown == (modality == "bmode" and REGIONS[k] == "deep_fat"), (modality, REGIONS[k])


def test_thickness_changes_geometry_and_no_layer_is_ever_absent() -> None:
    made = light.draw(light.Design(thickness={("", "deep_fat"): 2.0}), 200, 7)
    count = np.stack([np.bincount(m.ravel(), minlength=len(REGIONS)) for m in made.labels])
    assert count.min() > 0
    fat = count[:, REGIONS.index("deep_fat")]
    assert fat[made.is_case].mean() > 1.15 * fat[~made.is_case].mean()
    same = light.draw(light.Design(thickness={("", "deep_fat"): 2.0}), 200, 7)
    np.testing.assert_array_equal(made.volumes["swe"], same.volumes["swe"])
