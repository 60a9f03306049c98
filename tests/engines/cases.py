"""The onnx package's own test cases of single operators, module by module, and why some are not for this engine."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx.backend.test.case.node as node_cases
from onnx import TensorProto, numpy_helper

from layer_fast.engines.torch import OPS
from layer_fast.engines.torch.registry import DTYPES
from layer_fast.graphs.check import OPSETS

SLOW = ("averagepool", "lppool", "maxpool")  # making these cases takes onnx a quarter of a minute each

SKIPPED = {
    r"training": "training mode: the graphs are for inference",
    r"dropout_random_old": "Dropout with attributes: opset 12 and older",
    r"maxpool_with_argmax": "MaxPool with indices: no graph of ours has them",
    r"unique_(not_sorted|sorted_with)": "Unique along an axis or unsorted: its sizes follow from data",
    r"col2im_(5d|pads)": "Col2Im with three spatial axes or asymmetric padding: torch's fold has neither",
    r"tf_crop_and_resize": "Resize within a region of interest: no exporter of today writes it",
    r"scales_(linear|cubic)_align_corners": "align_corners with a fractional size: ONNX Runtime and the gradient rules "
                                            "take the whole number of outputs, as this engine does",
    r"spacetodepth_(dcr|crd)_mode": "SpaceToDepth with mode: later than opset 21",
    r"identity_(sequence|opt)": "sequences and optionals are not tensors",
}  # fmt: skip


def modules() -> list[str]:
    """Modules of cases that are named after an operator of the engine."""
    known = {name.lower() for name in OPS} | {"rangeop"}
    names = [m.name for m in pkgutil.iter_modules(node_cases.__path__)]
    return [name for name in names if name.replace("_", "") in known]


@cache
def cases(module: str) -> list[Any]:
    """The cases that a module makes when it is imported, each a model with inputs and expected outputs."""
    before = len(node_cases._NodeTestCases)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{node_cases.__name__}.{module}")
    return list(node_cases._NodeTestCases[before:])


def why_not(case: Any) -> str:
    """The reason why the engine does not take a case, or ""."""
    for pattern, reason in SKIPPED.items():
        if re.search(pattern, case.name):
            return reason
    graph = case.model.graph
    foreign = [n.op_type for n in graph.node if n.op_type not in OPS or n.domain not in ("", "ai.onnx")]
    if foreign:
        return f"operators {foreign} are not taken"
    kinds = {v.type.tensor_type.elem_type for v in (*graph.input, *graph.output)}
    kinds |= {a.i for n in graph.node for a in n.attribute if a.name in ("to", "output_dtype", "dtype")}
    kinds |= {a.t.data_type for n in graph.node for a in n.attribute if a.type == onnx.AttributeProto.TENSOR}
    missing = sorted(TensorProto.DataType.Name(k) for k in kinds if k not in DTYPES)
    return f"element types {missing} are not taken" if missing else ""


def model_bytes(case: Any) -> bytes:
    """The model with the opset moved into the engine's range: a case has the opset in which its operator last changed,
    and what opset 22 and later changed are element types."""
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    for entry in model.opset_import:
        entry.version = max(OPSETS[0], min(OPSETS[1], entry.version))
    return bytes(model.SerializeToString())


def array(value: Any) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
