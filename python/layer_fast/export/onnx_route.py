"""From an ONNX file to a package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models import ModelPackage
from .build import draft, finish
from .derived import check_kinds
from .fields import Fields, make_fields
from .packaging import check_free
from .source import read_onnx

if TYPE_CHECKING:
    import onnx


def export_onnx(
    model: onnx.ModelProto | str | Path,
    fields: Fields | Mapping[str, Any] | str | Path,
    out: str | Path,
    *,
    cohort: str | Path | None = None,
    graphs: Sequence[str] | None = None,
    activation: str | None = None,
    skip_bad: bool = False,
    say: Callable[[str], None] | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> ModelPackage:
    """Make a model package from an ONNX classifier or segmenter and load it.

    model: a ModelProto, or a file, whose external data must lie beside it. Its input is (batch, channels, z, y, x) or
    (batch, channels, y, x), float32 in [0, 1]; its output (batch, classes) logits, or (batch, 7, *grid) of a segmenter.
    fields: fields.yaml, its path, or a mapping (docs/guides/export.md). out: a new or empty folder.
    cohort: table of the training scans with masks, for the fill profile, the spread of the margin and the subjects'
    hashes; skip_bad leaves out scans that cannot be used. graphs: some of gradient, gradcam, hirescam, which must then
    be possible; None: all that are. activation: the tensor class activation maps are taken from; None: the best found.
    say, tick: told what was found and chosen, and (done, total) of the training scans.
    Raises ModelError, ConfigError, TableError; nothing is written then.
    """
    from onnx import ModelProto

    tell = say or (lambda text: None)
    stated = make_fields(fields)
    check_free(Path(out))
    check_kinds(graphs, stated.role)
    where = "model" if isinstance(model, ModelProto) else Path(model).name
    graph = model if isinstance(model, ModelProto) else read_onnx(Path(model))
    made = draft(graph, stated, where=where, graphs=graphs, activation=activation, say=tell)
    return finish(made, Path(out), cohort=cohort, skip_bad=skip_bad, say=tell, tick=tick)
