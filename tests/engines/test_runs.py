"""Whole tiny cohorts through each engine: tables that agree, a choice that is written and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest

import tiny
import tolerances
from layer_fast import engines, info, steps
from layer_fast.cli import main
from layer_fast.cohort import run_cohort
from layer_fast.config import make_config
from layer_fast.engines import available_engines, choice
from layer_fast.errors import EngineError, ModelError
from layer_fast.models import load_models
from layer_fast.pipeline import Pipeline
from layer_fast.steps import probe
from layer_fast.steps.compiled import Graphs
from layer_fast.steps.probe import compare

OTHERS = [
    pytest.param(name, marks=pytest.mark.skipif(found.startswith("missing"), reason=f"engine {name} is {found}"))
    for name, found in available_engines().items()
    if name != "onnxruntime"
]
METHODS = {"methods": ("gradcam", "gradient", "layer_shapley")}


@pytest.fixture(scope="module")
def reference(models: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "out"
    assert run_cohort(table, models, out, {**METHODS, "engine": "onnxruntime"}).exit_code == 0
    return out


def run_json(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "run.json").read_text()))


def numbers(out: Path, name: str) -> dict[str, np.ndarray]:
    """Float columns of a table, lists flattened, NaN as 0."""
    columns = parquet.read_table(out / f"{name}.parquet").to_pydict()
    floats = {}
    for key, values in columns.items():
        flat = [x for v in values for x in (v if isinstance(v, list) else [v])]
        if any(isinstance(x, float) for x in flat):
            floats[key] = np.nan_to_num(np.array([np.nan if x is None else x for x in flat], float))
    return floats


@pytest.mark.parametrize("engine", OTHERS)
def test_tables_of_two_engines_agree(models: Path, table: Path, reference: Path, tmp_path: Path, engine: str) -> None:
    run = run_cohort(table, models, tmp_path / "out", {**METHODS, "engine": engine, "precision": "float32"})
    assert run.exit_code == 0
    assert run_json(tmp_path / "out")["engine"]["engine"] == engine
    for name in ("scans", "layers", "coalitions"):
        expected, found = numbers(reference, name), numbers(tmp_path / "out", name)
        assert expected.keys() == found.keys() and expected
        for key, values in expected.items():
            bound = tolerances.ENGINE_TABLES * max(1.0, np.abs(values).max())
            np.testing.assert_allclose(found[key], values, rtol=0, atol=bound, err_msg=f"{name}.{key}")


@pytest.mark.parametrize("engine", OTHERS)
def test_an_explicit_engine_redoes_the_records_of_another(
    models: Path, table: Path, tmp_path: Path, engine: str
) -> None:
    run_cohort(table, models, tmp_path / "out", {"engine": "onnxruntime"})
    assert run_cohort(table, models, tmp_path / "out", {"engine": engine}).reused == 0
    assert run_cohort(table, models, tmp_path / "out", {"engine": engine, "lanes": 2}).reused == 3


@pytest.mark.parametrize("engine", OTHERS)
def test_auto_goes_on_with_the_engine_of_the_run(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    out = tmp_path / "out"
    run_cohort(table, models, out, {"engine": engine})
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    monkeypatch.setattr(choice, "measure", lambda *_: pytest.fail("measured although the run has its engine"))
    assert run_cohort(table, models, out).reused == 3
    assert run_json(out)["engine_choice"]["chosen"] == engine
    installed = available_engines()
    missing = {**installed, engine: f"missing: pip install 'layer_fast[{engine}]'"}
    for module in (engines, choice):
        monkeypatch.setattr(module, "available_engines", lambda: missing)
    with pytest.raises(EngineError, match=f"this run used engine '{engine}'.*pip install.*--engine"):
        run_cohort(table, models, out)
    assert run_cohort(table, models, out, {"engine": "onnxruntime"}).reused == 0


def test_a_measured_choice_is_written_into_the_run(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    run_cohort(table, models, tmp_path / "out")
    written = run_json(tmp_path / "out")
    if available_engines()["openvino"].startswith("missing"):
        assert "nothing was measured" in written["engine_choice"]["why"]
    else:
        assert set(written["engine_choice"]["seconds"]) == {"onnxruntime", "openvino"}
        assert written["engine_choice"]["graph"] == "tiny_classifier_bmode (forward, batch 32)"
    assert written["engine"]["engine"] == written["engine_choice"]["chosen"]
    assert run_cohort(table, models, tmp_path / "out").reused == 3
    assert run_json(tmp_path / "out")["engine_choice"] == written["engine_choice"]


@pytest.mark.parametrize(
    ("methods", "graph"),
    [
        (("gradcam",), "gradcam, batch 4"),
        (("gradient",), "gradient, batch 1"),
        (("gradient", "smoothgrad"), "gradient, batch 16"),
        (("gradient", "integrated_gradients"), "gradient, batch 32"),
        (("layer_ablation",), "forward, batch 32"),
    ],
)
def test_the_graph_that_is_measured_is_one_the_run_calls(models: Path, methods: tuple[str, ...], graph: str) -> None:
    pipeline = Pipeline(models, {"methods": methods, "engine": "onnxruntime"})
    found = probe.probe(pipeline.models.classifiers["bmode"][0], pipeline.config, Graphs("margin"))
    assert found.label == f"tiny_classifier_bmode ({graph})"
    opened = engines.open_engine("onnxruntime", found.model, threads=1, label=found.label)
    assert len(opened.run(found.feeds, found.outputs)[0]) == len(found.feeds["image"])


def test_drawn_inputs_keep_to_the_memory_budget(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One gradient of a network whose activations take 12 MB needs the whole budget of 24 MB."""
    monkeypatch.setattr("layer_fast.steps.compiled.activation_bytes", lambda package: 12 << 20)
    sizes: list[int] = []

    class Watched(Rounded):
        def run(self, feeds: dict[str, Any], outputs: tuple[str, ...]) -> list[Any]:
            sizes.append(len(feeds["image"]))
            return super().run(feeds, outputs)

    def opened(name: str, model: bytes, *, precision: str, **options: Any) -> Any:
        return Watched(engines.open_engine(name, model, **options))

    methods = ("integrated_gradients", "smoothgrad")
    config = make_config({"methods": methods, "gradient_memory_mb": 24, "precision": "bfloat16"})
    package, built = load_models(models).classifiers["bmode"][0], Graphs("margin")
    assert probe.probe(package, config, built).label.endswith("(gradient, batch 1)")
    assert [len(p.feeds["image"]) for p in probe.checks((package,), config, built)] == [2, 1], "forward, gradient"
    monkeypatch.setattr(probe, "open_engine", opened)
    found = probe.precision_agreement([package], config, built, "onnxruntime")[package.label]
    assert sizes == [8, 8, *[1] * 16] and found["gradient"]["inputs"] == 8


def test_a_graph_is_built_once_for_measuring_checks_and_lanes(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    real = steps.compiled.compiled

    def counted(package: Any, kind: str, target: str) -> bytes:
        built.append(f"{package.manifest.name} {kind}")
        return real(package, kind, target)

    monkeypatch.setattr(steps.compiled, "compiled", counted)
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    run_cohort(table, models, tmp_path / "out", {**METHODS, "lanes": 3, "scan_batch": 1})
    classifier = [f"tiny_classifier_bmode {kind}" for kind in ("forward", "gradcam", "gradient")]
    assert sorted(built) == sorted([*classifier, "tiny_segmenter_bmode forward"])


def test_a_missing_profile_is_said_before_engines_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.write_models(tmp_path / "models", ("bmode",)) / "bmode" / "manifest.json"
    manifest = json.loads(folder.read_text())
    del manifest["fill_profile"], manifest["logit_sd_train"], manifest["files"]["fill_profile.json"]
    folder.write_text(json.dumps(manifest))
    monkeypatch.setattr("layer_fast.pipeline.choose_engine", lambda *_, **__: pytest.fail("measured first"))
    with pytest.raises(ModelError, match="need a fill profile"):
        Pipeline(tmp_path / "models")


class Rounded:
    """An engine whose answers have bfloat16's 8 bits."""

    name, device = "rounded", "cpu"

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def run(self, feeds: dict[str, Any], outputs: tuple[str, ...]) -> list[Any]:
        return [(a.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32) for a in self.inner.run(feeds, outputs)]


def test_agreement_of_a_reduced_precision_is_written_into_the_run(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the engine, because few CPUs have bfloat16; test_openvino.py tries the real one."""
    real = engines.open_engine

    def stand_in(name: str, model: bytes, *, threads: int, label: str, precision: str = "float32") -> Any:
        opened = real("onnxruntime", model, threads=threads, label=label)
        return Rounded(opened) if precision == "bfloat16" else opened

    for module in ("layer_fast.steps.probe", "layer_fast.steps.lane"):
        monkeypatch.setattr(f"{module}.open_engine", stand_in)
    monkeypatch.setattr(engines, "available_engines", lambda: {"onnxruntime": "1", "openvino": "2", "torch": "3"})
    run_cohort(table, models, tmp_path / "out", {"precision": "bfloat16"})
    written = run_json(tmp_path / "out")
    assert written["engine"] == {"engine": "openvino", "version": "2", "precision": "bfloat16", "threads": 1}
    assert set(written["precision_agreement"]) == {"bmode/tiny_classifier_bmode/0"}
    for figures in (f for kinds in written["precision_agreement"].values() for f in kinds.values()):
        assert 0 < figures["logits_l2"] < 2**-7 and 0 < figures["logits_max_abs"] < 0.1
        assert figures["map_cosine"] is None or 0.999 < figures["map_cosine"] < 1
        assert figures["inputs"] == 8


def test_the_command_takes_engine_and_precision(
    models: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--models", str(models), "--out", str(tmp_path / "out")]
    assert main(["run", str(table), *out, "--engine", "onnxruntime", "--precision", "bfloat16"]) == 1
    assert "only engine 'openvino' computes in it, got engine 'onnxruntime'" in capsys.readouterr().err
    assert main(["run", str(table), *out, "--engine", "onnxruntime", "--methods", "gradcam"]) == 0
    assert run_json(tmp_path / "out")["engine_choice"]["why"] == "asked for"


def test_float32_has_no_agreement_to_measure(reference: Path) -> None:
    assert run_json(reference)["precision_agreement"] is None


def test_agreement_of_the_same_engine_is_exact(models: Path) -> None:
    opened = engines.open_engine("onnxruntime", tiny.classifier(1), threads=1, label="g")
    feeds = {"image": np.random.default_rng(0).random((2, 1, *tiny.GRID), dtype=np.float32)}
    exact = {"logits_max_abs": 0.0, "logits_l2": 0.0, "map_cosine": None, "inputs": 2}
    assert compare(opened, opened, feeds, ("logits",)) == exact


def test_available_says_what_is_here_or_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    found = info.available()["engines"]
    assert list(found) == ["onnxruntime", "openvino", "torch", "tensorrt"]
    from importlib import metadata

    def nothing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", nothing)
    monkeypatch.setattr("layer_fast.engines.tensorrt.installed", lambda: "")
    assert available_engines() == {
        "onnxruntime": "missing: pip install onnxruntime",
        "openvino": "missing: pip install 'layer_fast[openvino]'",
        "torch": "missing: pip install 'layer_fast[torch]'",
        "tensorrt": "missing: TensorRT is not installed; pip install 'layer_fast[tensorrt]', or pip install tensorrt",
    }
