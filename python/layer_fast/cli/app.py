"""The verbs, in the order a newcomer needs them. Each is thin: it parses, calls the library and prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from .._version import __version__

NOTICE = "Research use only. Not a medical device. Not for diagnosis."
app = App(
    name="layer-fast",
    help=f"Which tissue layers of 3D ultrasound of the back carry a classifier's prediction.\n\n{NOTICE}",
    version=f"layer_fast {__version__}. {NOTICE}",
    help_on_error=False,
)

Json = Annotated[bool, Parameter(name="--json", negative=(), help="print the result as JSON on stdout")]
Driver = Literal["dermis", "superficial_fat", "deep_fat", "deep_fascial_membrane", "muscle"]


@app.command
def demo(
    *,
    out: Path = Path("results"),
    driver: Driver | None = "deep_fascial_membrane",
    null: Annotated[bool, Parameter(negative=(), help="plant nothing: no layer should be claimed")] = False,
    subjects: int = 24,
    seed: int = 0,
    json: Json = False,
) -> int:
    """Make a phantom cohort with a planted truth, run the whole flow on it and say whether the truth was found.

    Parameters
    ----------
    out
        Folder for the cohort, the tables and report.html.
    driver
        The layer whose B-mode echo carries the label.
    subjects
        Subjects, half of them cases, two scans each.
    seed
        Another seed is another cohort.
    """
    from .demo import run_demo

    return run_demo(out, None if null else driver, subjects, seed, as_json=json)


@app.command
def run(
    cohort: Path,
    *,
    models: str = "reference",
    out: Path = Path("results"),
    config: Path | None = None,
    setups: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None,
    methods: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None,
    fills: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None,
    donors: Path | None = None,
    guards: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None,
    target: Literal["margin", "logit", "probability"] | None = None,
    mask: Literal["auto", "given", "model"] | None = None,
    geometry: Literal["refuse", "resample"] | None = None,
    engine: Literal["auto", "onnxruntime", "openvino", "torch", "tensorrt"] | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
    precision: Literal["auto", "float32", "mixed", "bfloat16"] | None = None,
    json: Json = False,
) -> int:
    """Run a cohort table through segmentation, classification, explanation and reduction; write tables and report.

    The same command goes on where a stopped run ended. Options given here override those of --config.

    Parameters
    ----------
    cohort
        CSV or TSV with scan_id, subject and bmode and/or swe; docs/input.md lists the columns.
    models
        A model package, a folder of packages, "reference" (for phantoms only), or a fold map (YAML): each scan by the
        models of its column fold.
    out
        Folder for the results.
    config
        YAML file with options of the run.
    setups
        bmode, swe, both.
    methods
        gradcam, hirescam, gradient, input_x_gradient, integrated_gradients, smoothgrad, layer_ablation, layer_shapley.
    fills
        What replaces a removed layer, each at the cost of 127 forwards a scan: cohort_profile, constant, donor, blur;
        as diagnostics layer_mean, shuffle.
    donors
        Cohort table, with masks, of the scans that the fill donor takes layers from.
    guards
        leakage, border, nulls, mask_perturbation (512 more passes a scan and setup), randomisation (once, 4 scans).
    target
        What is explained of the model's positive class: margin (against the negative class or all others), logit or
        probability.
    mask
        auto takes the given mask where there is one, else the segmenter's.
    geometry
        What to do when the grids of one scan differ.
    engine
        auto takes the engine of the run that OUT holds, else on a GPU the first of tensorrt, torch and onnxruntime that
        runs there, else measures the installed ones on the CPU.
    device
        auto is the GPU where there is one; an engine that is named runs on the CPU unless it is tensorrt.
    precision
        Of the engine's arithmetic: mixed by tensorrt (half but for gradients, its default), bfloat16 by openvino on
        CPUs that have it; the difference is written to run.json.
    """
    from .run import run_table

    given = {
        "setups": setups, "methods": methods, "fills": fills, "donors": None if donors is None else str(donors),
        "guards": guards, "target": target, "mask": mask, "geometry": geometry,
        "engine": engine, "device": device, "precision": precision,
    }  # fmt: skip
    return run_table(cohort, models, out, config, {k: v for k, v in given.items() if v is not None}, as_json=json)


@app.command
def report(results: Path = Path("results"), *, json: Json = False) -> int:
    """Compute the cohort summary from the tables of a run again and write claims.json and report.html.

    Parameters
    ----------
    results
        The folder a run has written.
    """
    from .run import summarise

    return summarise(results, as_json=json)


@app.command
def phantom(
    out: Path,
    *,
    driver: Driver | None = None,
    modality: Literal["bmode", "swe", "both"] | None = None,
    kind: Literal["mean", "texture", "thickness"] = "mean",
    size: float | None = None,
    subjects: int = 24,
    scans_per_subject: int = 2,
    seed: int = 0,
    json: Json = False,
) -> int:
    """Write a phantom cohort: NIfTI volumes, masks, cohort.csv and truth.json.

    Parameters
    ----------
    out
        Folder to write.
    driver
        The layer that carries the label; none plants nothing.
    modality
        Where the effect shows; bmode if left out, both for thickness.
    kind
        What changes in the layer of the cases.
    size
        dB for the mean of B-mode, relative change otherwise; a default by kind if left out.
    """
    from .phantom import write_phantom

    return write_phantom(out, driver, modality, kind, size, subjects, scans_per_subject, seed, as_json=json)


@app.command
def quantify(
    *,
    map: Path,
    mask: Path,
    definition: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None,
    layers: Path | None = None,
    invert: Literal["negate", "one_minus"] | None = None,
    out: Path | None = None,
    json: Json = False,
) -> int:
    """Reduce a saliency map made elsewhere (Captum, MONAI, medcam) to numbers per layer; docs/guides/definitions.md.

    A coarser map is brought to the mask's grid by both files' affines, linearly; a map of another place is refused.

    Parameters
    ----------
    map
        NIfTI file; a fourth axis is channels.
    mask
        NIfTI file of labels (0 to 6), or with a fourth axis of weights per label for definitions with a soft mask.
    definition
        YAML files with definitions, or names; left out: mean, share_of_labelled, enrichment.
    layers
        YAML file for other labels than the six: `layers`, names or name: label, and `groups`.
    invert
        For a map in which high values mean little: one_minus for MONAI's default (0..1 turned over), negate for others.
    out
        Table to write, .csv or .parquet.
    """
    from .quantify import run_quantify

    return run_quantify(map, mask, definition, layers, out, invert=invert, as_json=json)


Flag = Annotated[bool, Parameter(negative=())]


@app.command
def export(
    model: Path | None = None,
    *,
    manifest: Path,
    out: Path,
    network: str | None = None,
    arguments: Path | None = None,
    weights: Path | None = None,
    random_weights: Flag = False,
    cohort: Path | None = None,
    skip_bad: Flag = False,
    graphs: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None,
    activation: str | None = None,
    json: Json = False,
) -> int:
    """Make a model package from an ONNX file, or from a torch network (extra [torch]); docs/guides/export.md.

    What is found in the graph and what was chosen is said on stderr. Nothing is written if a check fails.

    Parameters
    ----------
    model
        ONNX file of a classifier or segmenter; its external data must lie beside it.
    manifest
        YAML file with what only a person can state: name, role, windows, classes, spacing, licence, ...
    out
        New folder for the package.
    network
        Instead of an ONNX file: package.module.callable that makes a torch module. ITS CODE RUNS. Files of your own are
        found through PYTHONPATH.
    arguments
        YAML file with the keyword arguments of the network.
    weights
        Its weights: .safetensors, or .pt/.pth with tensors only (opened with weights_only=True).
    random_weights
        Export the network as it is made, without a file of weights.
    cohort
        Table of the training scans with masks: gives the fill profile that layer_ablation and layer_shapley need.
    skip_bad
        Leave out training scans that cannot be used instead of stopping.
    graphs
        Some of gradient, gradcam, hirescam, which must then be possible; left out: all that are.
    activation
        The tensor for class activation maps; left out: the one in front of the global pool.
    """
    from .export import run_export

    from_torch = {"arguments": arguments, "weights": weights, "random_weights": random_weights}
    options = {"cohort": cohort, "graphs": graphs, "activation": activation, "skip_bad": skip_bad}
    return run_export(model, network, from_torch, manifest, out, options, as_json=json)


@app.command
def info(path: str | None = None, *, json: Json = False) -> int:
    """Print what a model package, a folder of packages or an ONNX file holds; without a path the reference models.

    Parameters
    ----------
    path
        A model package, a folder of packages, "reference", "reference_2d", a fold map or an .onnx file.
    """
    from .info import print_models

    return print_models(path or "reference", as_json=json)


@app.command
def doctor(*, json: Json = False) -> int:
    """Print what was found on this machine, what is missing, and what to type to get it."""
    from .info import print_doctor

    return print_doctor(as_json=json)
