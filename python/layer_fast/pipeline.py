"""One scan or a stream of scans through all steps: bounded, in input order, a failed scan being a value."""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from .config import RunConfig, make_config, thread_budget
from .engines import run_precision
from .errors import ConfigError
from .guards.other_masks import few_of_many, other_mask_rows
from .guards.stage import randomised_rows, run_guards
from .models import ModelPackage, Models, load_models
from .steps.arrive import MOST_READERS, Arrivals, ByLanes, ByReaders, arrived
from .steps.chosen import choose_engine, lane_count
from .steps.compiled import Graphs
from .steps.donors import load_donors
from .steps.explain import Explanation, explain
from .steps.guarded import Work, advance, refuse_unexplained
from .steps.lane import Lane, at_work, check_profile
from .steps.lanes import open_lanes
from .steps.picture import Picture, draw
from .steps.place import places
from .steps.prepare import ModelInput, Shared, prepare
from .steps.probe import precision_agreement
from .steps.record import RunFacts, record
from .steps.reduce import Reduced, reduce
from .steps.segment import given_masks, no_segmenter, segment
from .timing import StageTimes
from .types import Failure, LayerMask, Scan, ScanRecord, ScanRef


class Pipeline:
    """Models and options, ready to run scans.

    models: what `load_models` returns, or a path it takes. config: RunConfig, a dict of its options, or None.
    kept_choice: `engine_choice` of an earlier run that this one goes on with; it overrides engine "auto".
    engine_choice: the engine and why it was taken (engines.choice). precision_agreement: by classifier how far a
    reduced precision is from float32 on drawn inputs, None in float32.
    Raises ConfigError, ModelError, EngineError before the first scan.
    """

    def __init__(
        self,
        models: Models | str | Path,
        config: RunConfig | dict[str, Any] | None = None,
        *,
        kept_choice: dict[str, Any] | None = None,
    ) -> None:
        self.config = make_config(config)
        self.models = models if isinstance(models, Models) else load_models(models)
        if not self._classifiers():
            held = ", ".join(self.models.classifiers) or "none"
            raise ConfigError(f"setups {self.config.setups}: the models hold classifiers for {held}")
        for package in self._classifiers():
            check_profile(package, self.config)  # before anything slow
        self._graphs = Graphs(self.config.target)
        loading = Lane("", self.config, max(1, thread_budget()), self._graphs)  # native operations only
        self.donors = load_donors(self.config, self._classifiers(), loading)
        self._choose_engine(kept_choice)
        self.lanes = lane_count(self.config, self._device)
        self._idle: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        self._read_ahead = StageTimes()
        segmenter = None if self.config.mask == "given" else self.models.segmenter
        self._made = open_lanes(self._new_lane, self.lanes, segmenter, self._classifiers())
        if self._device != "cpu":
            self.lanes = len(self._made)
        for lane in self._made:
            self._idle.put(lane)

    @property
    def device(self) -> str:
        """Where its engines are: "cpu" or "cuda"."""
        return self._device

    def process(self, scan: Scan | ScanRef) -> ScanRecord:
        """Run one scan. A scan that fails gives a record with status "quarantined" or "failed", never an exception."""
        return self._batch([scan], ByLanes())[0]

    def stream(
        self,
        scans: Iterable[Scan | ScanRef],
        *,
        stop: threading.Event | None = None,
    ) -> Generator[ScanRecord, None, None]:
        """Run scans and yield their records in input order. Memory holds at most (lanes + 1) batches of scans; on a
        GPU, where processors that no lane takes read ahead, as many scans more as they are, in whole batches.

        stop: once set, no further scan is started; those at work are finished and yielded.
        """
        source, size, arrivals = iter(scans), self.config.scan_batch, self._arrivals()
        waiting: deque[Future[list[ScanRecord]]] = deque()

        def run(begun: list[Any]) -> list[ScanRecord]:
            return [] if stop is not None and stop.is_set() else self._batch(begun, arrivals)

        with ThreadPoolExecutor(self.lanes, thread_name_prefix="lane") as pool:
            try:
                while True:
                    most = self.lanes + arrivals.ahead(size)
                    while len(waiting) <= most and not (stop is not None and stop.is_set()):
                        batch = list(itertools.islice(source, size))
                        if not batch:
                            break
                        waiting.append(pool.submit(run, arrivals.begin(batch)))
                    if not waiting:
                        return
                    yield from waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
                self._read_ahead += arrivals.close()

    def pictures(self, scans: Iterable[Scan | ScanRef], method: str | None) -> list[Picture | Failure]:
        """The middle slice of each scan with its layers and the map of one method of the run (None: no map), in input
        order; a scan that fails is a Failure. The engines and batch sizes are the run's, so the map is the run's too.
        Memory holds one batch of scans and the slices."""
        source, found = iter(scans), list[Picture | Failure]()
        with at_work(self._borrow_lane(), self._idle) as lane:
            own = replace(lane, config=lane.config.model_copy(update={"methods": (method,) if method else ()}))
            while batch := list(itertools.islice(source, self.config.scan_batch)):
                works = self._masked(batch, own)
                self._explained(works, own)
                refuse_unexplained(works, self.config.setups)
                found += draw(works, own, self.facts)
        return found

    def randomisation(self, scans: Iterable[Scan | ScanRef]) -> list[dict[str, Any]]:
        """Shuffle every classifier's weights and compare the maps of these few scans (guards.model_check); scans that
        fail, or that a classifier cannot take, are left out."""
        with at_work(self._borrow_lane(), self._idle) as lane:
            return randomised_rows(self._masked(list(scans), lane), lane, self._classifiers(), self._prepare)

    def other_masks(self, scans: Iterable[ScanRef]) -> dict[str, list[dict[str, Any]]]:
        """Rows of guards.parquet for maps of a few of these scans under masks of the others (guards.other_masks), by
        scan_id; scans that fail have none. Empty where the guard `nulls` is not asked."""
        few = few_of_many(list(scans)) if "nulls" in self.config.guards else []
        with at_work(self._borrow_lane(), self._idle) as lane:
            return other_mask_rows(few, lane, self.facts, self._masked, self._explained)

    def times(self) -> StageTimes:
        """Seconds per stage, summed over the lanes. On a GPU "read" is what they waited for scans in `stream`, and
        "read.ahead" what reading took meanwhile, summed over its threads."""
        total = StageTimes()
        total += self._read_ahead
        for lane in self._made:
            total += lane.times
        return total

    def _arrivals(self) -> Arrivals:
        if self._device == "cpu":
            return ByLanes()
        spare = min(MOST_READERS, max(1, thread_budget() - self.lanes))
        return ByReaders(spare, lambda: Lane("", self.config, 1, self._graphs))

    def _batch(self, items: list[Any], arrivals: Arrivals) -> list[ScanRecord]:
        with at_work(self._borrow_lane(), self._idle) as lane:
            return self._steps(arrivals.take(items, lane), lane)

    def _steps(self, works: list[Work], lane: Lane) -> list[ScanRecord]:
        self._mask(works, lane)
        self._explained(works, lane)
        refuse_unexplained(works, self.config.setups)
        self._reduce(works, lane)
        run_guards(works, lane, self.facts, self._classifiers(), self._prepare)
        with lane.times.stage("record"):
            return [record(work, self.facts) for work in works]

    def _choose_engine(self, kept: dict[str, Any] | None) -> None:
        c = self.config
        packages, segmenter = self._classifiers(), None if c.mask == "given" else self.models.segmenter
        chosen = choose_engine(c, packages, segmenter, self._graphs, kept)
        self.engine_choice, self._engine, self._device = chosen.choice, chosen.engine, chosen.device
        self.config = c = chosen.config
        self._place = places(self._device)
        self.facts = RunFacts.of(self.models, c, chosen.facts(self._place), self.donors)
        reduced = run_precision(self._engine, c.precision) != "float32"
        agreement = precision_agreement(packages, c, self._graphs, self._engine, self._device) if reduced else None
        self.precision_agreement = agreement

    def _borrow_lane(self) -> Lane:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            lane = self._new_lane()
            self._made.append(lane)
            return lane

    def _new_lane(self) -> Lane:
        share = max(1, thread_budget() // self.lanes)
        return Lane(self._engine, self.config, share, self._graphs, device=self._device, place=self._place())

    def _classifiers(self) -> list[ModelPackage]:
        return [p for setup in self.config.setups for p in self.models.classifiers.get(setup, ())]

    def _masked(self, items: list[Scan | ScanRef], lane: Lane) -> list[Work]:
        works = [arrived(item, lane) for item in items]
        self._mask(works, lane)
        return works

    def _explained(self, works: list[Work], lane: Lane) -> None:
        for package in self._classifiers():
            self._explain(package, works, lane)

    def _prepare(self, package: ModelPackage, works: list[Work], lane: Lane) -> None:
        def put(work: Work, model_input: ModelInput) -> None:
            work.model_input = self._with_donor(model_input, work, package)
            work.flag(*model_input.flags)

        def take(work: Work) -> tuple[Scan, Shared]:
            work.shared = work.shared or Shared()
            return work.need_scan(), work.shared

        def verb(items: list[tuple[Scan, Shared]]) -> list[ModelInput]:
            return prepare(items, lane, package, self.config.fov_tolerance)

        advance("prepare", works, lane, take=take, verb=verb, put=put)

    def _mask(self, works: list[Work], lane: Lane) -> None:
        """Give every scan its layer mask: the given one or the segmenter's, as `config.mask` says."""

        def put(work: Work, mask: LayerMask) -> None:
            work.mask = mask

        def is_given(work: Work) -> bool:
            has_mask = work.scan is not None and bool(work.scan.masks)
            return self.config.mask == "given" or (self.config.mask == "auto" and has_mask)

        given = [work for work in works if is_given(work)]
        rest = [work for work in works if not is_given(work)]
        advance("segment", given, lane, take=Work.need_scan, verb=lambda scans: given_masks(scans, lane), put=put)
        package = self.models.segmenter
        if package is None:
            advance("segment", rest, lane, take=Work.need_scan, verb=no_segmenter, put=put)
            return

        def verb(pairs: list[tuple[Scan, ModelInput]]) -> list[LayerMask]:
            return segment(pairs, lane, package)

        self._prepare(package, rest, lane)
        advance("segment", rest, lane, take=lambda w: (w.need_scan(), w.model_input), verb=verb, put=put)

    def _explain(self, package: ModelPackage, works: list[Work], lane: Lane) -> None:
        """Add this classifier's explanation to every scan that has its channels."""

        def verb(pairs: list[tuple[ModelInput, LayerMask]]) -> list[Explanation]:
            return explain(pairs, lane, package)

        def put(work: Work, explanation: Explanation) -> None:
            work.explanations.append(explanation)

        modalities = {channel.modality for channel in package.manifest.channels}
        able = [w for w in works if w.failure is None and modalities <= w.need_scan().volumes.keys()]
        self._prepare(package, able, lane)
        advance("explain", able, lane, take=lambda w: (w.model_input, w.need_mask()), verb=verb, put=put)

    def _with_donor(self, made: ModelInput, work: Work, package: ModelPackage) -> ModelInput:
        """What a classifier sees of the scan, with the donor of its layers where the run has donors."""
        if self.donors is None or package.sha256 not in self.donors.inputs:
            return made
        chosen = self.donors.choose(work.ref.subject, work.need_scan().input_sha256)
        return replace(made, donor=self.donors.inputs[package.sha256][chosen])

    def _reduce(self, works: list[Work], lane: Lane) -> None:
        def verb(items: list[tuple[LayerMask, list[Explanation]]]) -> list[Reduced]:
            return reduce(items, lane, self.facts)

        def put(work: Work, reduced: Reduced) -> None:
            work.layers, work.histograms, work.slices = reduced.rows, reduced.histograms, reduced.slices
            work.flag(*reduced.flags)

        def take(work: Work) -> tuple[LayerMask, list[Explanation]]:
            return work.need_mask(), work.explanations

        advance("reduce", works, lane, take=take, verb=verb, put=put)
