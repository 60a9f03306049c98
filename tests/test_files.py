"""YAML from elsewhere: whatever it holds, one short sentence says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layer_fast.cli import main
from layer_fast.config import make_config, read_config
from layer_fast.errors import ConfigError
from layer_fast.files import read_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: " + "[" * 5000, "values nested too deeply"),
        ("a: " + "{b: " * 5000, "values nested too deeply"),
        (BOMB + "setups: *h\n", "an alias"),
        ("a: &a [*a]\n", "an alias"),
        ("ig_steps: " + "9" * 5000, "Exceeds the limit"),
        ("a: 2024-99-99\n", "month must be in 1..12"),
        ("a: !!int ''\n", ""),
        ("a: !!bool maybe\n", "maybe"),
        ("a: !!timestamp never\n", ""),
        ("a: \x1b[2J\n", "special characters are not allowed"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"c\.yaml: expected YAML in UTF-8, found.*{said}") as error:
        read_config(path)
    assert len(str(error.value)) < 400 + len(str(path))
    assert main(["run", "t.csv", "--config", str(path)]) == 1
    assert main(["export", "m.onnx", "--manifest", str(path), "--out", str(tmp_path / "o")]) == 1
    assert capsys.readouterr().err.count("c.yaml: expected YAML") == 2


def test_an_anchor_alone_is_only_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("ig_steps: &n 8\n")
    assert read_yaml(path) == {"ig_steps": 8} and read_config(path).ig_steps == 8
    with pytest.raises(ConfigError, match="expected a readable file"):
        read_config(tmp_path / "absent.yaml")


def test_what_was_got_is_shown_in_short() -> None:
    deep: Any = ["x"] * 9
    for _ in range(7):
        deep = [deep] * 9
    for values in ({"ig_steps": deep}, {"setups": ["x" * 100_000]}, {"mask": "y" * 100_000}, {"z" * 100_000: 1}):
        with pytest.raises(ConfigError) as error:
            make_config(values)
        assert len(str(error.value)) < 800
    with pytest.raises(ConfigError, match="unknown option '1'"):
        make_config({1: 2})  # type: ignore[dict-item]


def test_errors_do_not_command_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "f.yaml"
    path.write_text('"\\x1b[2J": 1\n"\\ud800": 2\n')
    assert main(["export", "m.onnx", "--manifest", str(path), "--out", str(tmp_path / "o")]) == 1
    said = capsys.readouterr().err
    assert "?[2J: unknown key" in said and said.replace("\n", "").isprintable()
