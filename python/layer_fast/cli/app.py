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
    mask: Literal["auto", "given", "model"] | None = None,
    geometry: Literal["refuse", "resample"] | None = None,
    json: Json = False,
) -> int:
    """Run a cohort table through segmentation, classification, explanation and reduction; write tables and report.

    The same command goes on where a stopped run ended. Options given here override those of --config.

    Parameters
    ----------
    cohort
        CSV or TSV with scan_id, subject and bmode and/or swe; docs/input.md lists the columns.
    models
        A model package, a folder of packages, or "reference" (for phantoms only).
    out
        Folder for the results.
    config
        YAML file with options of the run.
    setups
        bmode, swe, both.
    methods
        gradcam, layer_ablation, layer_shapley.
    mask
        auto takes the given mask where there is one, else the segmenter's.
    geometry
        What to do when the grids of one scan differ.
    """
    from .run import run_table

    given = {"setups": setups, "methods": methods, "mask": mask, "geometry": geometry}
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
def info(path: str | None = None, *, json: Json = False) -> int:
    """Print what a model package, or a folder of packages, says of itself; without a path the reference models.

    Parameters
    ----------
    path
        A model package or a folder of packages.
    """
    from .info import print_models

    return print_models(path or "reference", as_json=json)


@app.command
def doctor(*, json: Json = False) -> int:
    """Print what was found on this machine, what is missing, and what to type to get it."""
    from .info import print_doctor

    return print_doctor(as_json=json)
