"""From a model package to the graphs a run calls, and how much memory one item takes in them."""

from __future__ import annotations

import threading
from math import prod

from .. import graphs
from ..errors import ModelError
from ..models import ModelPackage

_BYTES: dict[str, int] = {}  # by package: shapes are inferred once, not once a scan


class Graphs:
    """The graphs of a run as ONNX bytes, each built once for measuring, comparing and every lane."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._built: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()

    def of(self, package: ModelPackage, kind: str) -> bytes:
        """As `compiled`."""
        key = (package.sha256, kind)
        with self._lock:
            if key not in self._built:
                self._built[key] = compiled(package, kind, self._target)
            return self._built[key]


def compiled(package: ModelPackage, kind: str, target: str) -> bytes:
    """The ONNX bytes of one kind of graph: "forward", "gradcam", "hirescam", "gradient". Raises ModelError."""
    if kind == "forward":
        return package.volume_bytes
    try:
        return _explaining(package, kind, target)
    except ModelError as error:
        where = str(package.path)
        raise error if where in str(error) else ModelError(f"{where}: {kind}: {error}") from error


def _explaining(package: ModelPackage, kind: str, target: str) -> bytes:
    manifest = package.manifest
    _, positive, against = package.target_classes()
    named = manifest.target is not None and manifest.target.negative is not None
    model = graphs.with_target(
        package.volume_model, manifest.output, kind=target, positive=positive, negative=against[0] if named else None
    )
    if kind == "gradient":
        return bytes(graphs.gradient(model, output="target", wrt=(manifest.input,)).SerializeToString())
    if manifest.cam_tensor is None:
        raise ModelError(f"{package.path}: {kind} needs cam_tensor in the manifest, found none; "
                         f"`layer-fast info` lists the activations it can be taken from")  # fmt: skip
    make = graphs.gradcam if kind == "gradcam" else graphs.hirescam
    return bytes(make(model, output="target", activation=manifest.cam_tensor).SerializeToString())


def gradient_batch(package: ModelPackage, budget_mb: int, slices: int) -> int:
    """How many inputs one call of the gradient graph takes: as many as the budget holds, at most 64.

    At least one volume of a 3D model, which cannot be cut; 0 where the slices of one scan are more than the budget
    holds. slices: their number, which a 2D model sees as its own batch; 1 for a 3D model.
    """
    held = min(64, budget_mb // gradient_megabytes(package, slices))
    return held if package.manifest.spatial_dims == 2 else max(1, held)


def even_batch(count: int, limit: int) -> int:
    """The batch size for `count` inputs: as few calls as the limit allows, of equal size."""
    calls = -(-count // limit)
    return -(-count // calls)


def gradient_megabytes(package: ModelPackage, slices: int) -> int:
    """About what one input takes in the gradient graph, rounded up: the activations of the forward graph twice, for
    the gradient has one for each."""
    return -(-2 * activation_bytes(package) * slices // 2**20) or 1


def activation_bytes(package: ModelPackage) -> int:
    """Bytes of all activations of the package's own graph for one input (a volume, or a slice of a 2D model).

    Every tensor with a known shape counts, with 1 for the batch; a graph whose sizes follow from other tensors is
    counted low."""
    if package.sha256 not in _BYTES:
        _BYTES[package.sha256] = _count_bytes(package)
    return _BYTES[package.sha256]


def _count_bytes(package: ModelPackage) -> int:
    import onnx

    inferred = onnx.shape_inference.infer_shapes(package.model)
    total = 0
    for value in inferred.graph.value_info:
        dims = [d.dim_value if d.HasField("dim_value") else 1 for d in value.type.tensor_type.shape.dim]
        total += 4 * prod(dims)
    return total
