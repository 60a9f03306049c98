"""The command refuses what does not go together, and names the missing extra."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from export import small
from layer_fast.cli import main
from layer_fast.errors import ConfigError
from layer_fast.export import export_torch


@pytest.fixture
def stated(tmp_path: Path) -> list[str]:
    path = tmp_path / "fields.yaml"
    path.write_text(yaml.safe_dump(small.fields()))
    return ["--manifest", str(path), "--out", str(tmp_path / "out")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected an ONNX file or --network, found neither"),
        (["m.onnx", "--network", "a.b"], "expected an ONNX file or --network, found both"),
        (["m.onnx", "--weights", "w.pt"], "--weights: expected together with --network only"),
        (["m.onnx", "--random-weights"], "--random-weights: expected together with --network only"),
        (["m.onnx"], "m.onnx: expected a readable file"),
        (["--network", "a.b"], "or --random-weights"),
    ],
)
def test_words_that_do_not_go_together(
    stated: list[str], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *words, *stated]) == 1
    streams = capsys.readouterr()
    assert message in streams.err and streams.out == ""


@pytest.mark.parametrize("absent", ["torch", "onnxscript"])
def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "layer_fast.export.torch_route.find_spec", lambda name: None if name == absent else find(name)
    )
    with pytest.raises(ConfigError, match=rf"{absent} is missing: pip install 'layer_fast\[torch\]'"):
        export_torch(object(), small.fields(), tmp_path / "out")  # type: ignore[arg-type]
