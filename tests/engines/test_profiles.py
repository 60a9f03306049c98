"""Sizes that engines are built for, from the graph, the manifest's grid and the batches of a run."""

from __future__ import annotations

import numpy as np
import pytest

import layer_fast as lf
from layer_fast.config import make_config
from layer_fast.engines.base import Port, Sizes
from layer_fast.engines.tensorrt.profiles import described, fitting, profiles
from layer_fast.errors import EngineError
from layer_fast.steps.sizes import sizes_of

F4 = np.dtype(np.float32)
COTANGENT = Port("cotangent", F4, (None, 1))


def test_an_open_batch_and_a_grid_of_the_manifest() -> None:
    image = Port("image", F4, (None, 2, None, None, None))
    (found,) = profiles("g", [image, COTANGENT], Sizes(4, 32, (12, 160, 32)))
    assert found["image"] == ((1, 2, 12, 160, 32), (4, 2, 12, 160, 32), (32, 2, 12, 160, 32))
    assert found["cotangent"] == ((1, 1), (4, 1), (32, 1))


def test_sizes_of_the_graph_stay() -> None:
    (found,) = profiles("g", [Port("image", F4, (3, 1, 8, 8, 8))], Sizes(4, 32, (12, 160, 32)))
    assert found["image"] == ((3, 1, 8, 8, 8),) * 3


def test_open_slices_make_a_profile_for_one_scan_and_one_for_several() -> None:
    image = Port("image", F4, (None, 1, None, 160, 32))
    alone, together = profiles("g", [image, COTANGENT], Sizes(4, 16, (None, 160, 32)))
    assert alone["image"] == ((1, 1, 1, 160, 32), (1, 1, 32, 160, 32), (1, 1, 512, 160, 32))
    assert together["image"] == ((1, 1, 1, 160, 32), (2, 1, 16, 160, 32), (16, 1, 64, 160, 32))
    assert alone["cotangent"] == ((1, 1),) * 3 and together["cotangent"][2] == (16, 1)
    shapes = {"image": (1, 1, 200, 160, 32), "cotangent": (1, 1)}
    assert fitting([alone, together], shapes) == 0
    assert fitting([alone, together], {"image": (3, 1, 40, 160, 32), "cotangent": (3, 1)}) == 1
    assert fitting([alone, together], {"image": (3, 1, 200, 160, 32), "cotangent": (3, 1)}) is None
    assert "image [1, 1, 1, 160, 32] to [1, 1, 512, 160, 32]" in described([alone])


def test_what_nothing_says_is_named() -> None:
    with pytest.raises(EngineError, match=r"g: input x float32\[\?, \?\]: axis 1 is open, and no grid says its size"):
        profiles("g", [Port("x", F4, (None, None))], Sizes(grid=(8, 8, 8)))
    with pytest.raises(EngineError, match="known number of axes"):
        profiles("g", [Port("x", F4, None)], Sizes())


def test_batches_of_a_run() -> None:
    held = lf.load_models("reference")
    package, segmenter = held.classifiers["bmode"][0], held.segmenter
    assert segmenter is not None
    config = make_config({"methods": ("gradcam", "integrated_gradients", "layer_shapley"), "ig_steps": 20})
    grid = tuple(package.manifest.grid)
    assert sizes_of(package, "forward", config) == Sizes(32, 32, grid)
    assert sizes_of(package, "gradcam", config) == Sizes(4, 4, grid)
    assert sizes_of(package, "gradient", config) == Sizes(20, 20, grid)
    assert sizes_of(segmenter, "forward", config) == Sizes(4, 4, tuple(segmenter.manifest.grid))
    alone = make_config({"methods": ("gradcam", "gradient"), "scan_batch": 1})
    assert sizes_of(package, "gradcam", alone) == Sizes(1, 2, grid)
    assert sizes_of(package, "gradient", alone) == Sizes(1, 2, grid)
