"""What runs the scans of a cohort: one pipeline, or, for a fold map, one for each fold, one after the other.

Scans are grouped by fold, so that the graphs and engines of one fold are in memory at a time. Every fold computes with
the engine, precision and batches of the first: one table comes from one engine.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .config import GRADIENT_METHODS, RunConfig, make_config
from .errors import EngineError, TableError
from .gpus import GpuWorkers, device_names
from .models import FoldMap, ModelPackage, Models, is_fold_map, load_folds
from .models.folds import fold_name
from .pipeline import Pipeline
from .steps.lane import check_profile
from .steps.record import RunFacts, set_exposure
from .timing import StageTimes
from .types import ScanRecord, ScanRef

SEEN = "seen_by_model_of_its_fold"
NO_FOLD = "no_fold"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """Scans of one pipeline. fold: "" without a map. names: what the tables call a classifier, by setup and member."""

    fold: str
    refs: list[ScanRef]
    pipeline: Pipeline
    names: dict[tuple[str, str], str]

    def randomisation(self) -> list[Row]:
        """The rows of `Pipeline.randomisation` on these scans, as the tables name models."""
        own = {"fold": self.fold} if self.fold else {}
        rows = self.pipeline.randomisation(self.refs)
        return [{**row, **own, "model": self.names[row["setup"], row["member"]]} for row in rows]


class Runner:
    """models: what run_cohort takes. refs: the scans of the run; `refs` has them with their folds named as in the map.

    Raises ConfigError, ModelError, EngineError, and TableError where a fold map and the table do not fit.
    """

    def __init__(
        self, models: Models | FoldMap | str | Path, config: RunConfig | Row | None, refs: list[ScanRef],
        kept_choice: Row | None,
    ) -> None:  # fmt: skip
        if isinstance(models, (str, Path)) and is_fold_map(models):
            models = load_folds(models)
        self.map = models if isinstance(models, FoldMap) else None
        self.refs = refs if self.map is None else in_folds(refs, self.map)
        self.times = StageTimes()
        if isinstance(models, FoldMap):
            asked = make_config(config)
            for package in (p for m in models.folds.values() for s in asked.setups for p in m.classifiers.get(s, ())):
                check_profile(package, asked)  # of every fold, before the first is opened
            first = next(ref.fold or "" for ref in self.refs if ref.fold in models.folds)
            pipeline = Pipeline(models.models(first), asked, kept_choice=kept_choice)
        else:
            first = ""
            pipeline = Pipeline(models, config, kept_choice=kept_choice)
        self._open: Pipeline | None = pipeline
        self._open_fold = first
        self.config, self.engine_choice, self.lanes = pipeline.config, pipeline.engine_choice, pipeline.lanes
        self.engine, self.donors = pipeline.facts.fixed["engine"], pipeline.donors
        self.agreement: Any = self._agreement(first, pipeline)
        self._models = {"": pipeline.models} if self.map is None else self.map.folds
        self._facts = {"": pipeline.facts} if self.map is None else {f: self._facts_of(f) for f in self.map.folds}

    def facts(self, ref: ScanRef) -> RunFacts | None:
        """What is fixed for the scan; None for one that no fold of the map explains."""
        return self._facts.get(self._fold(ref))

    def some_models(self) -> Models:
        """Those of one fold: the folds of a map have the same setups and classes."""
        return next(iter(self._models.values()))

    def parts(self, wanted: list[ScanRef]) -> Generator[Part, None, None]:
        """These scans by the pipeline that takes them, in table order within a fold. One fold is open at a time, first
        the one that is open already: let a part go before the next is asked for."""
        folds = [""]
        if self.map is not None:
            asked = {ref.fold for ref in wanted}
            folds = [fold for fold in sorted(self.map.folds, key=lambda f: f != self._open_fold) if fold in asked]
        for fold in folds:
            own = wanted if self.map is None else [ref for ref in wanted if ref.fold == fold]
            yield Part(fold, own, self._opened(fold), self._names(self._models[fold]))

    def other_masks(self, good: list[ScanRef]) -> dict[str, list[Row]]:
        """The rows of `Pipeline.other_masks` by scan_id, of each fold among its own scans; {} without that guard."""
        rows: dict[str, list[Row]] = {}
        if "nulls" in self.config.guards:
            for part in self.parts(good):
                rows |= part.pipeline.other_masks(part.refs)
                del part  # before the next fold's
        return rows

    def pipelines(self, wanted: list[ScanRef]) -> Generator[tuple[list[ScanRef], Pipeline], None, None]:
        """As `parts`, the scans and their pipeline."""
        for part in self.parts(wanted):
            yield part.refs, part.pipeline
            del part  # before the next fold's

    def logit_sd(self) -> dict[str, dict[str, float | None]] | None:
        """Logit SD of every classifier of a fold map by fold, as statistics take it; None without a map."""
        out: dict[str, dict[str, float | None]] = {}
        for p in self.packages() if self.map is not None else ():
            if p["target"] is not None:
                out.setdefault(f"{p['setup']}/{p['name']}/{p['member']}", {})[p["fold"]] = p["logit_sd_train"]
        return out or None

    def all_packages(self) -> list[ModelPackage]:
        """The packages of every fold."""
        return [package for models in self._models.values() for package in models.packages]

    def streams(self, wanted: list[ScanRef]) -> Generator[tuple[list[ScanRef], Pipeline | GpuWorkers], None, None]:
        """As `parts`, with what streams the scans: the pipeline, or its workers. Close it."""
        for part in self.parts(wanted):
            with _workers(part.pipeline) as source:
                try:
                    yield part.refs, source
                finally:
                    self.times += source.times()
            del part, source  # before the next fold's

    def tabled(self, ref: ScanRef, record: ScanRecord) -> ScanRecord:
        """The record as the tables have it: what they say of a scan's models comes from this run's."""
        models = self._models.get(self._fold(ref))
        if models is None:
            record.scan["exposure"] = "unknown"
            return record
        set_exposure(record.scan, record.layers, models, ref.subject)
        if self.map is not None:
            _rename(record, self.map, models, self._names(models))
            if record.scan["exposure"] == "seen":
                record.flags = (*record.flags, SEEN)
        return record

    def unexplained(self, ref: ScanRef) -> ScanRecord | None:
        """The record of a scan whose fold is empty or not in the map; None for every other."""
        if self.map is None or ref.fold in self.map.folds:
            return None
        found = "nothing" if ref.fold is None else repr(ref.fold)
        said = f"column fold: expected one of {', '.join(self.map.folds)} as in {self.map.path.name}, found {found}"
        return ScanRecord(ref.scan_id, "", "quarantined", NO_FOLD, "fold", said)

    def wrong(self) -> str:
        """A sentence where subjects are sent to models that were trained on them; "" for a right map."""
        if self.map is None:
            return ""
        by_fold = {f: sorted({r.subject for r in self.refs if r.fold == f}) for f in self.map.folds}
        found = self.map.seen(by_fold)
        some = "; ".join(f"fold {f}: {', '.join(names[:3])}{' ...' * (len(names) > 3)}" for f, names in found.items())
        many = sum(map(len, found.values()))
        if not found:
            return ""
        return (f"{self.map.path.name}: {many} subjects were in the training set of their own fold's model ({some}): "
                f"the map or the column fold is wrong, no claim will hold")  # fmt: skip

    def packages(self) -> list[Row]:
        """The packages of the run for run.json; with a map also their fold and, where it differs, their own name."""
        if self.map is None:
            return [_package(p) for p in self._models[""].packages]
        return [
            {**_package(p), "name": self.map.shown_name(p), "package": p.manifest.name, "fold": fold}
            for fold, models in self.map.folds.items() for p in models.packages
        ]  # fmt: skip

    def _names(self, models: Models) -> dict[tuple[str, str], str]:
        """What the tables call the classifiers, by setup and member."""
        members = [p for several in models.classifiers.values() for p in several]
        return {(p.manifest.setup, p.manifest.member): self.map.shown_name(p) if self.map is not None else
                p.manifest.name for p in members}  # fmt: skip

    def _fold(self, ref: ScanRef) -> str:
        return "" if self.map is None else ref.fold or ""

    def _facts_of(self, fold: str) -> RunFacts:
        """Those of a pipeline that need not be opened: records that stand are told by them."""
        if self.map is None:
            raise RuntimeError("facts of a fold without a map")
        small = self.map.folds[fold]
        graphs = any(method in GRADIENT_METHODS for method in self.config.methods)  # their batches follow from them
        models = self.map.models(fold) if graphs else small
        donors = None if self.donors is None else replace(self.donors, inputs={})
        return replace(RunFacts.of(models, self.config, self.engine, donors), models=small)

    def _opened(self, fold: str) -> Pipeline:
        if self._open is not None and fold == self._open_fold:
            return self._open
        if self.map is None:
            raise RuntimeError("a run without a map has one pipeline")
        self._open = None  # goes before the next comes
        pipeline = Pipeline(self.map.models(fold), self.config, kept_choice=self.engine_choice)
        if pipeline.facts.fixed != self._facts[fold].fixed:
            raise EngineError(f"{self.map.path}: fold {fold!r}: expected to compute with {self.engine} as the first "
                              f"fold, found {pipeline.facts.fixed['engine']}")  # fmt: skip
        self.agreement = {**(self.agreement or {}), **(self._agreement(fold, pipeline) or {})} or None
        self._open, self._open_fold = pipeline, fold
        return pipeline

    def _agreement(self, fold: str, pipeline: Pipeline) -> Any:
        """Of a reduced precision, per classifier; with a map under the fold's name."""
        found = pipeline.precision_agreement
        return {fold: found} if self.map is not None and found is not None else found


def in_folds(refs: list[ScanRef], folds: FoldMap) -> list[ScanRef]:
    """The scans with the names of their folds as the map has them. TableError for a subject in two folds, and where no
    scan has a fold of the map."""
    named = [replace(ref, fold=fold_name(ref.fold) if ref.fold else None) for ref in refs]
    by_subject: dict[str, set[str]] = {}
    for ref in named:
        if ref.fold is not None:
            by_subject.setdefault(ref.subject, set()).add(ref.fold)
    torn = {subject: sorted(names) for subject, names in by_subject.items() if len(names) > 1}
    if torn:
        some = "; ".join(f"{subject} in {', '.join(names)}" for subject, names in sorted(torn.items())[:5])
        raise TableError(f"column fold: expected every subject in one fold, found {len(torn)} in several ({some}): a "
                         f"model of one of them was trained on a scan of the same person")  # fmt: skip
    if not any(ref.fold in folds.folds for ref in named):
        found = sorted({ref.fold for ref in named if ref.fold is not None})
        said = ", ".join(found[:5]) if found else "no fold in any row"
        asked = ", ".join(folds.folds)
        raise TableError(f"column fold: expected the folds of {folds.path.name} ({asked}), found {said}")
    return named


@contextmanager
def _workers(pipeline: Pipeline) -> Iterator[Pipeline | GpuWorkers]:
    """What runs the scans: the pipeline itself, or one worker process for each of several GPUs."""
    if pipeline.config.gpus == 1:
        yield pipeline
        return
    workers = GpuWorkers(pipeline, device_names(pipeline.config.gpus, pipeline.device))
    try:
        yield workers
    finally:
        workers.close()


def _rename(record: ScanRecord, folds: FoldMap, models: Models, names: dict[tuple[str, str], str]) -> None:
    """Write the names of the map into the rows: one cell of the tables is one thing over all folds."""
    first = models.segmenter
    source = {} if first is None else {f"model:{first.manifest.name}": f"model:{folds.shown_name(first)}"}
    mask = record.scan.get("mask")
    record.scan["mask"] = None if mask is None else source.get(mask, mask)
    for rows in (record.layers, record.coalitions, record.histograms, record.slices, record.guards):
        for row in rows:
            row["model"] = names[row["setup"], row["member"]]
            row["mask"] = source.get(row["mask"], row["mask"])


def _package(p: Any) -> Row:
    m = p.manifest
    return {"name": m.name, "role": m.role, "setup": m.setup, "member": m.member, "sha256": p.sha256,
            "logit_sd_train": m.logit_sd_train, "training_data": m.training_data, "classes": m.classes,
            "ordinal": m.ordinal, "target": None if m.target is None else m.target.model_dump()}  # fmt: skip
