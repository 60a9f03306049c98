"""Packages that somebody made to hang, to flood or to speak to the terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from layer_fast.cli.info import print_models
from layer_fast.errors import ModelError
from layer_fast.models import load_package
from layer_fast.models.package import parse_manifest

Write = Callable[..., Path]


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _outside(path: Path) -> None:
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize("name", ["model.onnx", "fill_profile.json"])
@pytest.mark.parametrize(
    ("put", "message"), [(_pipe, "a regular file"), (_device, "links are not"), (_outside, "links are not followed")]
)
def test_what_is_no_file_of_the_package(
    write_package: Write, name: str, put: Callable[[Path], None], message: str
) -> None:
    """The same bytes behind a link are refused too: what is hashed lies in the folder."""
    folder = write_package()
    (folder / name).rename(folder.parent / "elsewhere")
    put(folder / name)
    with pytest.raises(ModelError, match=rf"{name}: expected .*{message}"):
        load_package(folder)


def test_a_manifest_that_is_a_link(write_package: Write, tmp_path: Path) -> None:
    folder = write_package()
    (folder / "manifest.json").rename(tmp_path / "m.json")
    (folder / "manifest.json").symlink_to(tmp_path / "m.json")
    with pytest.raises(ModelError, match=r"manifest\.json: .*links are not followed"):
        load_package(folder)


def test_a_size_beyond_the_limit_is_refused_unread(write_package: Write) -> None:
    folder = write_package()
    os.truncate(folder / "model.onnx", 1 << 40)  # sparse
    with pytest.raises(ModelError, match=r"model\.onnx: expected at most \d+ bytes, found 1099511627776"):
        load_package(folder)


@pytest.mark.parametrize("raw", ["[" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000])
def test_a_deeply_nested_manifest(raw: str) -> None:
    with pytest.raises(ModelError, match=r"manifest\.json: expected JSON .* nested too deeply"):
        parse_manifest(raw.encode(), "manifest.json")


@pytest.mark.parametrize("key", ["training_data", "licence", "intended_use"])
@pytest.mark.parametrize("text", ["a\ud800", "\x1b[2Jred", "a\nb", "a\u202eb", "", "  "])
def test_texts_are_printable(write_package: Write, key: str, text: str) -> None:
    with pytest.raises(ModelError, match=rf"{key}: .*expected (printable characters on one line|some text)") as error:
        load_package(write_package(**{key: text}))
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"classes": ["", "case"]}, "classes.0"),
        ({"classes": ["con\ntrol", "case"]}, "classes.0"),
        ({"target": {"positive": "case", "negative": "\x07"}}, "target.negative"),
        ({"parity": {"p": {"value": 0.0, "against": "a\x1b", "inputs": 1}}}, "parity.p.against"),
        ({"parity": {"p": {"value": 0.0, "against": "a", "inputs": 1, "note": "\x1b"}}}, "parity.p.note"),
        ({"card": {"c": {"value": 0.0, "subjects": 1, "command": "\r"}}}, "card.c.command"),
        ({"card": {"\x1b": {"value": 0.0, "subjects": 1, "command": "x"}}}, "card"),
    ],
)
def test_names_and_notes_are_printable(write_package: Write, changes: dict[str, Any], where: str) -> None:
    with pytest.raises(ModelError, match=rf"{where}.*expected (printable characters on one line|some text)"):
        load_package(write_package(**changes))


def test_info_prints_no_control_characters(write_package: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of tensors come from the graph and may be anything; so may the folder's own name."""
    folder = write_package("a\x1b[2Jb")
    assert print_models(str(folder), as_json=False) == 0
    printed = capsys.readouterr().out
    assert "a?[2Jb" in printed and printed.replace("\n", "").isprintable()
    assert print_models(str(folder), as_json=True) == 0
    assert json.loads(capsys.readouterr().out)[0]["path"] == str(folder)
    assert print_models(str(folder / "model.onnx"), as_json=False) == 0
    assert capsys.readouterr().out.replace("\n", "").isprintable()
