"""How `auto` decides, with engines whose speed and answers are known."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from layer_fast import engines
from layer_fast.engines import choice
from layer_fast.engines.choice import Probe, choose, measure
from layer_fast.errors import EngineError

ALL = {"onnxruntime": "1.0", "openvino": "2.0", "torch": "3.0"}
PROBE = Probe("a graph", b"", {"x": np.arange(4.0, dtype=np.float32)}, ("y",))


class Fake:
    """An engine that sleeps, then answers 2 x plus an error."""

    device = "cpu"

    def __init__(self, name: str, seconds: float = 0.0, error: float = 0.0) -> None:
        self.name, self.seconds, self.error, self.calls = name, seconds, error, 0

    def run(self, feeds: dict[str, Any], outputs: tuple[str, ...]) -> list[Any]:
        self.calls += 1
        time.sleep(self.seconds)
        return [2 * feeds["x"] + np.float32(self.error)]


def measured(*fakes: Fake) -> dict[str, Any]:
    by_name = {fake.name: fake for fake in fakes}
    return measure(list(by_name), [PROBE], lambda name, model, label: by_name[name])


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What seems to be installed; a test may change it."""
    found = dict(ALL)
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    for module in (engines, choice):
        monkeypatch.setattr(module, "available_engines", lambda: found)
    return found


@pytest.fixture(autouse=True)
def no_measuring_by_accident(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "installed" in request.fixturenames and "torch_is_not_measured" not in request.node.name:
        monkeypatch.setattr(choice, "measure", lambda *_: pytest.fail("measured where nothing was to be measured"))


def nothing_to_measure() -> list[Probe]:
    return []


def test_the_fastest_is_chosen_whatever_its_place() -> None:
    for fakes in ((Fake("a", 0.02), Fake("b", 0.001)), (Fake("b", 0.001), Fake("a", 0.02))):
        found = measured(*fakes)
        assert (found["chosen"], found["why"], found["graph"]) == ("b", "measured", "a graph")
        assert found["seconds"]["a"] > found["seconds"]["b"] > 0
        assert found["left_out"] == {}


def test_an_engine_that_disagrees_is_left_out_with_the_reason() -> None:
    for error in (0.1, float("nan")):
        found = measured(Fake("a", 0.01), Fake("b", error=error))
        assert found["chosen"] == "a" and found["seconds"] == {}
        assert "a graph: output 'y' differs by" in found["left_out"]["b"] and found["left_out"]["b"].endswith("from a")
    assert measured(Fake("a", 0.01), Fake("b", error=1e-4))["chosen"] == "b", "rounding is no disagreement"


def test_an_engine_that_refuses_the_graph_is_left_out() -> None:
    def opened(name: str, model: bytes, label: str) -> Any:
        if name == "a":
            raise EngineError("a graph: no such operator")
        return Fake(name)

    found = measure(["a", "b"], [PROBE], opened)
    assert (found["chosen"], found["left_out"]) == ("b", {"a": "a graph: no such operator"})
    with pytest.raises(EngineError, match="no engine runs the graphs: a: a graph: no such operator"):
        measure(["a"], [PROBE], opened)


def test_measuring_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = [Fake("a", 0.02), Fake("b", 0.02)]
    measured(*slow)
    assert [fake.calls for fake in slow] == [1 + choice.MAX_ROUNDS] * 2
    clear = [Fake("a", 0.03), Fake("b")]
    measured(*clear)
    assert [fake.calls for fake in clear] == [1 + 3] * 2, "a clear winner needs no more than three rounds"
    monkeypatch.setattr(choice, "BUDGET_SECONDS", 0.0)
    heavy = [Fake("a", 0.02), Fake("b", 0.02)]
    measured(*heavy)
    assert [fake.calls for fake in heavy] == [1 + 1] * 2, "a heavy graph runs once each"


def test_what_is_only_compared_is_not_timed() -> None:
    compared = Probe("compared", b"", PROBE.feeds, ("y",), weight=0.0)
    fakes = {"a": Fake("a", 0.02), "b": Fake("b")}
    found = measure(list(fakes), [PROBE, compared], lambda name, model, label: fakes[name])
    assert (found["chosen"], found["graph"]) == ("b", "a graph")
    assert [fake.calls for fake in fakes.values()] == [2 + 3] * 2


def test_an_engine_that_was_not_measured_must_agree_too(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {"onnxruntime": 0.0, "openvino": 0.1, "torch": 0.0}
    monkeypatch.setattr(choice, "open_engine", lambda name, *_, **__: Fake(name, error=errors[name]))
    assert choose("torch", lambda: [PROBE], threads=1)["chosen"] == "torch"
    for kept in (None, {"chosen": "openvino"}):
        with pytest.raises(EngineError, match="engine 'openvino' gives wrong numbers: a graph: output 'y' differs by"):
            choose("auto" if kept else "openvino", lambda: [PROBE], threads=1, kept=kept)


def test_what_could_not_be_compared_is_said(installed: dict[str, str]) -> None:
    installed["onnxruntime"] = "missing: pip install onnxruntime"
    asked = choose("openvino", nothing_to_measure, threads=1)
    assert asked["why"] == "asked for; its numbers were not compared, for onnxruntime is not installed"
    assert choose("auto", nothing_to_measure, threads=1, kept=asked)["why"] == asked["why"], "said once"
    installed["onnxruntime"] = "1.0"
    assert choose("auto", nothing_to_measure, threads=1, kept=asked)["why"] == "asked for"


def test_with_one_engine_nothing_is_measured(installed: dict[str, str]) -> None:
    installed["openvino"] = "missing: pip install 'layer_fast[openvino]'"
    found = choose("auto", nothing_to_measure, threads=1)
    assert found["chosen"] == "onnxruntime" and "nothing was measured" in found["why"]


def test_an_engine_that_is_asked_for_wins(installed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.VARIABLE, "onnxruntime")
    kept = {"chosen": "onnxruntime", "why": "measured"}
    assert choose("torch", nothing_to_measure, threads=1, kept=kept)["chosen"] == "torch"
    installed["torch"] = "missing: pip install 'layer_fast[torch]'"
    with pytest.raises(EngineError, match=r"'torch' is missing: pip install 'layer_fast\[torch\]'"):
        choose("torch", nothing_to_measure, threads=1)


def test_the_choice_of_the_run_overrides_auto(installed: dict[str, str]) -> None:
    kept = {"chosen": "openvino", "why": "measured", "seconds": {"onnxruntime": 2.0, "openvino": 1.0}}
    assert choose("auto", nothing_to_measure, threads=1, kept=kept) == kept
    installed["openvino"] = "missing: pip install 'layer_fast[openvino]'"
    with pytest.raises(EngineError) as error:
        choose("auto", nothing_to_measure, threads=1, kept=kept)
    for words in ("this run used engine 'openvino'", "pip install 'layer_fast[openvino]'", "--engine"):
        assert words in str(error.value)


def test_the_environment_names_what_auto_means(installed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.VARIABLE, "openvino")
    assert choose("auto", nothing_to_measure, threads=1)["chosen"] == "openvino"
    monkeypatch.setenv(choice.VARIABLE, "openvno")
    with pytest.raises(EngineError, match="unknown engine 'openvno'; known: onnxruntime, openvino, torch"):
        choose("auto", nothing_to_measure, threads=1)


def test_bfloat16_means_openvino(installed: dict[str, str]) -> None:
    assert choose("auto", nothing_to_measure, threads=1, precision="bfloat16")["chosen"] == "openvino"
    for name in ("onnxruntime", "torch"):
        with pytest.raises(EngineError, match=f"only engine 'openvino' computes in it, got engine '{name}'"):
            choose(name, nothing_to_measure, threads=1, precision="bfloat16")


def test_torch_is_not_measured(installed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def opened(name: str, *_: Any, **__: Any) -> Fake:
        tried.append(name)
        return Fake(name)

    monkeypatch.setattr(choice, "open_engine", opened)
    choose("auto", lambda: [PROBE], threads=1)
    assert tried == ["onnxruntime", "openvino"]


def test_facts_hold_what_may_move_low_bits(installed: dict[str, str]) -> None:
    facts = engines.engine_facts("openvino", 2, "bfloat16")
    assert facts == {"engine": "openvino", "version": "2.0", "precision": "bfloat16", "threads": 2}
