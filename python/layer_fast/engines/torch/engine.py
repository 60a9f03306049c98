"""PyTorch running an ONNX graph: the reference engine, and the one for GPUs that TensorRT does not serve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from ...errors import EngineError
from ..base import Arrays, Port, check_feeds
from ..device_arrays import View, library_of
from ..reasons import DeviceFull, Unusable, says_full, short
from . import activations, conv, elementwise, indexing, matmul, movement, norm, pool, reductions, resize  # noqa: F401
from .exact import exact
from .program import Program, as_tensor
from .registry import Tensor


class TorchEngine:
    """A graph interpreted node by node with torch functions, without gradients; weights are moved once.

    device: "cpu", "cuda" or "cuda:N". dtype: None for the graph's own types, or a floating torch dtype that stands
    for every floating type of the graph, so that torch.float64 gives a reference in double precision.
    threads: of torch on the CPU. torch holds one such number for the whole process, so engines of different thread
    counts must not run at the same time. Raises EngineError for a graph that it cannot run, naming the node.
    """

    name = "torch"

    def __init__(
        self, model: bytes, *, threads: int = 1, label: str = "graph", device: str = "cpu", dtype: Any = None
    ) -> None:
        self._label, self._threads = label, threads
        self.device = device
        try:
            proto = onnx.load_from_string(model)
        except Exception as error:  # protobuf's own class
            raise EngineError(f"{label}: expected an ONNX model, found {len(model)} bytes that are none") from error
        place = torch.device(device)
        if place.type == "cuda" and not torch.cuda.is_available():
            raise Unusable("torch_without_cuda", why=f"torch {torch.__version__}")
        with self._refusals("load the weights"):
            self._program = Program(proto, label, place, dtype)
        optional = {t.name for t in proto.graph.initializer}
        self._inputs = [Port.of(i) for i in proto.graph.input if i.name not in optional]
        self._outputs = [o.name for o in proto.graph.output]

    def run(self, feeds: Arrays, outputs: tuple[str, ...]) -> list[NDArray[Any]]:
        """NumPy in, NumPy out; the results are copies. On a GPU also torch tensors or CuPy arrays of it in and out,
        which are not copied; work is given to the current stream of their library."""
        also = () if self._program.dtype is None else (np.float32, np.float64)
        with self._refusals("run"):
            if self._program.device.type == "cuda" and library_of(list(feeds.values()), self._label) is not None:
                return self._run_device(feeds, outputs, also)
            check_feeds(self._label, self._inputs, feeds, also)
            tensors = {name: self._moved(array) for name, array in feeds.items()}
            return [as_array(t) for t in self.run_tensors(tensors, outputs)]

    def _moved(self, array: NDArray[Any]) -> Tensor:
        dtype = self._program.dtype
        tensor = as_tensor(array) if array.dtype.kind not in "fiub" else torch.from_numpy(_readable(array))
        return tensor.to(self._program.device, dtype if dtype is not None and tensor.is_floating_point() else None)

    def _run_device(self, feeds: dict[str, Any], outputs: tuple[str, ...], also: Any) -> list[Any]:
        library = library_of(list(feeds.values()), self._label)
        views: dict[str, Any] = {name: View.of(array) for name, array in feeds.items()}
        check_feeds(self._label, self._inputs, views, also)
        if library is None or library.name == "torch":
            return [_alone(t, feeds) for t in self.run_tensors(feeds, outputs)]
        import cupy

        # One stream for both libraries, so that neither has to wait for the other on the host.
        with torch.cuda.stream(torch.cuda.ExternalStream(cupy.cuda.get_current_stream().ptr)):
            tensors = {name: torch.as_tensor(array, device="cuda") for name, array in feeds.items()}
            return [cupy.asarray(_alone(t, tensors)) for t in self.run_tensors(tensors, outputs)]

    def run_tensors(self, feeds: dict[str, Tensor], outputs: tuple[str, ...]) -> list[Tensor]:
        """Tensors of the engine's device in, tensors of it out, nothing copied: an output may share memory with a
        feed, a weight or another output, and must not be written to."""
        for name in outputs:
            if name not in self._outputs:
                raise EngineError(f"{self._label}: expected outputs of {self._outputs}, got {name!r}")
        if self._program.device.type == "cpu" and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        with self._exact(), self._refusals("run"):
            return self._program.run(dict(feeds), tuple(outputs))

    @contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        """Whatever torch says becomes an EngineError, so that a run can go on with the next engine."""
        try:
            yield
        except torch.cuda.OutOfMemoryError as error:
            raise DeviceFull(self._label, what, short(error)) from error
        except DeviceFull:  # which is a RuntimeError too
            raise
        except RuntimeError as error:  # a GPU that this torch has no kernels for, or that is gone
            if self.device != "cpu" and says_full(error):  # cuBLAS's and the driver's own words
                raise DeviceFull(self._label, what, short(error)) from error
            words = f"torch {torch.__version__} could not {what} on {self.device}: {short(error)}"
            raise EngineError(f"{self._label}: {words}") from error

    def _exact(self) -> AbstractContextManager[Any]:
        return exact() if self._program.device.type == "cuda" else nullcontext()


def _alone(tensor: Tensor, feeds: dict[str, Tensor]) -> Tensor:
    """A contiguous tensor that shares no memory with a feed."""
    shared = any(tensor.untyped_storage().data_ptr() == feed.untyped_storage().data_ptr() for feed in feeds.values())
    return tensor.clone() if shared else tensor.contiguous()


def as_array(tensor: Tensor) -> NDArray[Any]:
    """A copy of a tensor's numbers, which may share their memory with a feed or a weight."""
    if tensor.dtype == torch.bfloat16:
        kind = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)
        return np.array(tensor.cpu().contiguous().view(torch.int16).numpy()).view(kind)
    return np.array(tensor.cpu().numpy())


def _readable(array: NDArray[Any]) -> NDArray[Any]:
    """torch warns of arrays that cannot be written to and refuses negative strides."""
    array = np.asarray(array, order="C")
    return array if array.flags.writeable else array.copy()
