"""The torch engine against onnx's own test cases of every operator that it has a function for."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the torch engine needs torch")
from engines import cases
from layer_fast.engines.torch import OPS, TorchEngine
from layer_fast.graphs.check import ALLOWED

MODULES = [pytest.param(m, marks=pytest.mark.zoo) if m in cases.SLOW else m for m in cases.modules()]
# Quantised arithmetic and recurrent networks: no saliency graph holds them, and a model that does is refused by name.
NOT_TAKEN = {"ConvInteger", "DynamicQuantizeLinear", "GRU", "LSTM", "MatMulInteger", "QLinearConv", "QLinearMatMul",
             "RNN"}  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_operator(module: str) -> None:
    ran = 0
    for case in cases.cases(module):
        if cases.why_not(case):
            continue
        graph = case.model.graph
        engine = TorchEngine(cases.model_bytes(case), label=case.name)
        for inputs, expected in case.data_sets:
            feeds = {i.name: cases.array(a) for i, a in zip(graph.input, inputs, strict=False)}
            got = engine.run(feeds, tuple(o.name for o in graph.output))
            for found, wanted in zip(got, map(cases.array, expected), strict=True):
                assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), case.name
                np.testing.assert_allclose(found, wanted, case.rtol, case.atol, err_msg=case.name)
        ran += 1
    assert ran, "every case is skipped"


def test_every_allowed_operator_is_taken_or_named() -> None:
    assert set(OPS) == ALLOWED - NOT_TAKEN
    tried = {m.replace("_", "").removesuffix("op") for m in cases.modules()}
    assert {name.lower() for name in OPS} - tried == {"globallppool"}, "onnx has no case of it; test_torch.py has"
