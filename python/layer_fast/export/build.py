"""From a graph and what a person states to a package: tidy, check, derive, check again, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..graphs.check import check_sizes
from ..models import ModelPackage
from ..models.manifest import MODEL_FILE, Parity
from .batch import opened, settle
from .derived import KINDS, Cam, check_runs, choose_activation, make_graph, make_graphs
from .differences import gradient_parity
from .facts import Facts, Geometry, check_against, check_output, facts_of, geometry_of
from .fields import Fields
from .head import without_softmax
from .packaging import base_document, check_free, check_stated, contents, write_folder
from .tidy import tidy
from .training import Tick, training_facts

if TYPE_CHECKING:
    import onnx

Say = Callable[[str], None]


@dataclass(frozen=True)
class Draft:
    """A package before its training facts. graphs: kind -> graph that will be a file of it."""

    fields: Fields
    facts: Facts
    geometry: Geometry
    model: onnx.ModelProto
    cam: Cam
    graphs: dict[str, onnx.ModelProto]
    parity: dict[str, Parity]


def draft(
    model: onnx.ModelProto,
    fields: Fields,
    *,
    where: str,
    graphs: Sequence[str] | None,
    activation: str | None,
    say: Say,
) -> Draft:
    """Everything that needs no training scans. Raises ModelError, ConfigError."""
    plain = tidy(model, where, fields.input, fields.output)
    check_sizes(plain)  # before anything opens it
    facts = facts_of(plain, where)
    geometry = agreed(facts, fields, where)
    say(f"{where}: input {facts.input!r}, output {facts.output!r}, {facts.spatial_dims}D, {facts.channels} channel(s), "
        f"grid (z, y, x) {geometry.grid}")  # fmt: skip
    plain, cut = without_softmax(plain, where)
    if cut:
        say("left out the Softmax at the end: a package gives logits")
    plain, done = settle(plain, facts, geometry.sizes, where)
    if done:
        say(f"{done}; a batch of two gives what each gives alone")
    dims = plain.graph.output[0].type.tensor_type.shape.dim
    check_output((2, *(int(d.dim_value) for d in dims[1:])), fields, geometry.sizes, where)
    classifier = fields.role == "classifier"
    cam = choose_activation(plain, facts.output, activation, say) if classifier else Cam(None, ())
    made = make_graphs(plain, facts, cam, fields.role, graphs, say)
    check_runs(plain, made, facts, geometry.sizes)
    checked = classifier or "gradient" in made  # nothing uses the gradient of a segmenter unless it is asked for
    parity = _gradient_check(plain, made, facts, geometry, cam, say) if checked else {}
    return Draft(fields, facts, geometry, plain, cam, made, parity)


def agreed(facts: Facts, fields: Fields, where: str) -> Geometry:
    """The geometry that graph and fields state; ConfigError where they differ or the fields break a rule."""
    check_against(facts, fields, where)
    geometry = geometry_of(facts, fields, where)
    check_stated(fields, facts, geometry)
    return geometry


def _gradient_check(
    model: onnx.ModelProto, made: dict[str, onnx.ModelProto], facts: Facts, geometry: Geometry, cam: Cam, say: Say
) -> dict[str, Parity]:
    """Also where no gradient graph is shipped: a run makes its own from the same rules."""
    graph = made.get("gradient")
    if graph is None:
        try:
            graph = make_graph(model, facts, cam, "gradient")
        except ModelError as error:
            say(f"the gradient is not checked: {error}")
            return {}
    figure = gradient_parity(model, graph, facts, geometry.sizes)
    say(f"gradient against finite differences: within {figure.value:.1e}")
    return {"gradient_vs_finite_differences": figure}


def finish(
    made: Draft,
    out: Path,
    *,
    cohort: str | Path | None,
    skip_bad: bool,
    say: Say,
    tick: Tick | None = None,
) -> ModelPackage:
    """Add what the training scans give, write the folder and load it. Raises as training_facts and write_folder."""
    check_free(out)
    document = base_document(made.fields, made.facts, made.geometry, made.cam)
    manifest, files = contents(document, made.model, {}, {}, None)
    early = ModelPackage(manifest, files[MODEL_FILE], {}, None, "draft", out)
    if manifest.slice_axis is not None:
        opened(early.volume_model, f"{out}: the loop over slices")  # as every run will
    profile = None
    if cohort is not None:
        found = training_facts(early, cohort, made.fields.profile_bins, skip_bad=skip_bad, say=say, tick=tick)
        profile = found.profile
        document |= {"training_subjects": found.subjects, "logit_sd_train": found.logit_sd}
    else:
        evidence = "layer_ablation and layer_shapley will be refused for this package, and " \
            if made.fields.role == "classifier" else ""  # fmt: skip
        say(f"no cohort of training scans: {evidence}whether a subject was seen in training will be \"unknown\"")
    _, files = contents(document, made.model, made.graphs, made.parity, profile)
    package = write_folder(out, files)
    sizes = ", ".join(f"{name} {size:,} bytes" for name, size in package.file_bytes.items())
    left = [kind for kind in KINDS if kind not in made.graphs]
    say(f"wrote {out}: {sizes}" + (f"; without {', '.join(left)}" if left else ""))
    return package
