"""The engine's own builder and names against the real TensorRT-RTX, ahead of time: neither GPU nor driver is needed.

Full `tensorrt` is checked against its documentation only, see docs/guides/gpu.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines import real_tensorrt as real
from graphs import trt

REFERENCE = [("segmenter", ("forward",)), ("classifier_bmode", ("forward", "gradcam", "hirescam", "gradient")),
             ("classifier_swe", ("forward", "gradcam", "gradient")),
             ("classifier_both", ("forward", "gradcam", "gradient"))]  # fmt: skip
SLICES = [("segmenter", ("forward",)), ("classifier_bmode", ("forward", "gradcam", "gradient"))]
CASES = [("reference", name, kind) for name, kinds in REFERENCE for kind in kinds]
CASES += [("reference_2d", name, kind) for name, kinds in SLICES for kind in kinds]


@pytest.fixture(scope="module")
def worker() -> Iterator[trt.Compiler]:
    yield from trt.offered()


@pytest.mark.parametrize(("folder", "name", "kind"), CASES)
def test_the_engine_builds_every_graph_of_a_run(worker: trt.Compiler, folder: str, name: str, kind: str) -> None:
    """In the precision and for the batches of a run: half for forward and maps, float32 for gradients."""
    assert worker.run(real.built, folder, name, kind) == []


def test_a_card_without_a_target_gets_a_portable_engine(worker: trt.Compiler) -> None:
    assert worker.run(real.portable) == []


def test_a_refusal_names_the_node(worker: trt.Compiler) -> None:
    (said,) = worker.run(real.refused)
    assert said.startswith("EngineError: planted: TensorRT refused the graph: ") and "outputs for MaxPool" in said
    assert "'the_planted_one' (MaxPool)" in said


def test_every_name_that_is_used_exists(worker: trt.Compiler) -> None:
    assert worker.run(real.missing) == []


def test_signatures_are_those_that_are_called(worker: trt.Compiler) -> None:
    expected = ("stream_handle", "name: str, memory", "input: str, min", "buffer", "compute_capability",
                "profile_index: typing.SupportsInt, stream_handle", "model: ", "memory: typing.SupportsInt, size",
                )  # fmt: skip
    for words, shown in zip(expected, worker.run(real.shown_signatures), strict=True):
        assert words in shown


def test_the_list_of_names_is_whole() -> None:
    """Whatever the engine's code reads and the emulated library offers stands in the list that is checked."""
    import fake_tensorrt as fake

    classes = (fake.Builder, fake.Config, fake.Profile, fake.Parser, fake.RtxRuntime, fake.Engine,
               fake.RuntimeConfig, fake.Context)  # fmt: skip
    offered = {name for c in classes for name in dir(c) if not name.startswith("_")}
    listed = {n for s in (real.SURFACE, real.RTX_SURFACE) for owner, names in s.items() for n in (owner, *names)}
    own = {"fake", "log", "facts", "session"}
    assert {name for name in real.used() if name in offered} - own <= listed
