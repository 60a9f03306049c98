"""Built engines on disk: what decides a key, what is loaded and what is built again, and two processes at once."""

from __future__ import annotations

import multiprocessing
import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from engines.gpu import Emulated, emulate
from layer_fast.engines import Sizes
from layer_fast.engines.tensorrt import TensorRtEngine, cache, loaded
from layer_fast.engines.tensorrt.build import Recipe
from layer_fast.engines.tensorrt.cache import EngineCache, folder
from layer_fast.engines.tensorrt.library import Library
from layer_fast.errors import EngineError

SIZES = Sizes(usual=2, largest=4, grid=tiny.GRID)
KEY = "a" * 64


def opened(**more: Any) -> TensorRtEngine:
    loaded._SHARED.clear()  # as a new process
    return TensorRtEngine(tiny.classifier(1), label="the graph", sizes=SIZES, **more)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Emulated:
    return emulate(monkeypatch, tmp_path / "cache")


def engine_file(gpu: Emulated) -> Path:
    (file,) = gpu.cache.glob("*.engine")
    return file


def test_a_whole_engine_is_loaded_and_not_built_again(gpu: Emulated) -> None:
    opened()
    opened()
    assert len(gpu.tensorrt.named("build")) == 1 and len(gpu.tensorrt.named("deserialize")) == 2
    assert stat.S_IMODE(gpu.cache.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in gpu.cache.iterdir()} == {0o600}
    assert not list(gpu.cache.glob("*.tmp"))


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def foreign(file: Path) -> None:
    """Signed by another user's key: as another folder has it."""
    other = file.parent.parent / "other"
    EngineCache(other).get(file.stem, lambda: b"EVIL")
    file.write_bytes((other / file.name).read_bytes())


def other_version(file: Path) -> None:
    """A whole file of another engine, signed by the right key, under this one's name."""
    EngineCache(file.parent).get("b" * 64, lambda: b"EVIL")
    os.replace(file.parent / f"{'b' * 64}.engine", file)


def linked(file: Path) -> None:
    moved = file.parent.parent / "moved"
    os.replace(file, moved)
    file.symlink_to(moved)


def replaced(file: Path) -> None:
    """Another content under the old signature."""
    data = file.read_bytes()
    start = len(cache._MAGIC) + cache._SIGNATURE
    file.write_bytes(data[:start] + b"EVIL" * 200)


def unsigned(file: Path) -> None:
    start = len(cache._MAGIC) + cache._SIGNATURE
    file.write_bytes(file.read_bytes()[start:])


TAMPERED: dict[str, Callable[[Path], Any]] = {
    "tampered": flip,
    "truncated": lambda file: os.truncate(file, file.stat().st_size // 2),
    "foreign": foreign,
    "other_version": other_version,
    "symlinked": linked,
    "wrong_permission": lambda file: file.chmod(0o644),
    "replaced": replaced,
    "hmac_missing": unsigned,
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_tampered_with_is_built_again_and_never_loaded(gpu: Emulated, name: str) -> None:
    opened()
    (good,), file = gpu.tensorrt.named("deserialize")[0], engine_file(gpu)
    TAMPERED[name](file)
    gpu.tensorrt.calls.clear()
    opened()
    assert len(gpu.tensorrt.named("build")) == 1, "built again"
    assert gpu.tensorrt.named("deserialize") == gpu.tensorrt.named("validity") == [(good,)], "only what was just built"
    assert file.is_file() and not file.is_symlink() and stat.S_IMODE(file.stat().st_mode) == 0o600
    gpu.tensorrt.calls.clear()
    opened()
    assert gpu.tensorrt.named("build") == [], "and the new file is good"


def test_a_pipe_or_a_second_name_is_no_engine(gpu: Emulated) -> None:
    opened()
    file = engine_file(gpu)
    os.link(file, gpu.cache / "second")
    opened()
    assert len(gpu.tensorrt.named("build")) == 2
    engine_file(gpu).unlink()
    os.mkfifo(file)
    opened()
    assert len(gpu.tensorrt.named("build")) == 3 and file.is_file()


def test_a_key_that_others_could_read_makes_every_engine_worthless(gpu: Emulated) -> None:
    opened()
    secret = gpu.cache / "hmac.key"
    before = secret.read_bytes()
    secret.chmod(0o640)
    opened()
    assert len(gpu.tensorrt.named("build")) == 2
    assert secret.read_bytes() != before and stat.S_IMODE(secret.stat().st_mode) == 0o600


@pytest.mark.parametrize("what", ["mode", "link"])
def test_a_folder_that_is_not_private_is_refused(gpu: Emulated, what: str) -> None:
    if what == "mode":
        gpu.cache.mkdir(mode=0o755)
    else:
        (gpu.cache.parent / "real").mkdir(mode=0o700)
        gpu.cache.symlink_to(gpu.cache.parent / "real")
    words = "mode 0755; chmod 700" if what == "mode" else "links are not followed"
    with pytest.raises(EngineError, match=f"{words}.*LAYER_FAST_CACHE"):
        opened()
    assert gpu.tensorrt.named("build") == []


def test_a_cache_that_cannot_be_written_costs_a_build_and_says_so(
    gpu: Emulated, caplog: pytest.LogCaptureFixture
) -> None:
    opened()
    file = engine_file(gpu)
    file.unlink()
    file.mkdir()
    opened()
    assert "cannot be kept" in caplog.text and len(gpu.tensorrt.named("build")) == 2
    assert not list(gpu.cache.glob("*.tmp")), "nor is half of it left there"


def test_a_folder_in_which_nothing_can_be_made_is_an_engine_error(gpu: Emulated) -> None:
    """Not an OSError, which would end a run that could go on with the next engine."""
    opened()
    lock = engine_file(gpu).with_suffix(".lock")
    lock.unlink()
    lock.symlink_to("/nowhere")
    with pytest.raises(EngineError, match=r"engine cache /.*: expected to write \w+\.lock there.*LAYER_FAST_CACHE"):
        opened()
    gpu.cache.joinpath("hmac.key").unlink()
    gpu.cache.joinpath("hmac.key").mkdir()
    lock.unlink()
    with pytest.raises(EngineError, match=r"expected to write hmac\.key there, found: Is a directory"):
        opened()


RECIPE = Recipe("label", b"model", "float32", ({"x": ((1,), (2,), (3,))},), Library(None, "tensorrt", "10"), "8.6", "A")


def test_everything_that_decides_an_engine_is_in_its_key() -> None:
    others = [
        replace(RECIPE, model=b"other"), replace(RECIPE, precision="float16"), replace(RECIPE, capability="8.9"),
        replace(RECIPE, profiles=({"x": ((1,), (2,), (4,))},)), replace(RECIPE, gpu="B"),
        replace(RECIPE, library=Library(None, "tensorrt", "11")),
        replace(RECIPE, library=Library(None, "tensorrt_rtx", "10")),
    ]  # fmt: skip
    assert len({RECIPE.key(), *(r.key() for r in others)}) == len(others) + 1
    assert replace(RECIPE, label="another").key() == RECIPE.key()
    rtx = Library(None, "tensorrt_rtx", "1")
    assert replace(RECIPE, library=rtx).key() == replace(RECIPE, library=rtx, gpu="B").key(), "for a capability"


def test_flags_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = RECIPE.key()
    monkeypatch.setattr("layer_fast.engines.tensorrt.build.FLAGS", ("strongly_typed",))
    assert RECIPE.key() != before


def test_where_engines_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAYER_FAST_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/of/me")
    assert folder() == Path("/of/me/.cache/layer_fast/engines")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert folder() == Path("/xdg/layer_fast/engines")
    monkeypatch.setenv("LAYER_FAST_CACHE", "/named")
    assert folder() == Path("/named") and folder("/option") == Path("/option")


def build_slowly(path: str, log: str) -> None:
    def build() -> bytes:
        with open(log, "a") as file:
            file.write("built\n")
        time.sleep(0.5)
        return b"engine"

    assert EngineCache(Path(path)).get(KEY, build) == b"engine"


def test_two_processes_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    arguments = (str(tmp_path / "cache"), str(tmp_path / "log"))
    workers = [context.Process(target=build_slowly, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_failed_build_leaves_nothing_and_frees_the_lock(tmp_path: Path) -> None:
    held = EngineCache(tmp_path / "cache")

    def fails() -> bytes:
        raise EngineError("no")

    with pytest.raises(EngineError):
        held.get(KEY, fails)
    assert not list((tmp_path / "cache").glob("*.engine"))
    assert held.get(KEY, lambda: b"x") == b"x"
