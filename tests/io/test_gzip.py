"""The inflating itself: what the library does on its own, and what we add."""

from __future__ import annotations

import gzip as stdlib
import itertools
import random

import deflate
import numpy as np
import pytest

from layer_fast.errors import ReadError
from layer_fast.io import gzip

DATA = random.Random(0).randbytes(3000) + bytes(5000)
STREAM = stdlib.compress(DATA, mtime=0)
CUTS = [0, 1, 999, 3000, 3001, 8000]
MEMBERS = b"".join(stdlib.compress(DATA[a:b], mtime=0) for a, b in itertools.pairwise(CUTS))


def test_facts_about_the_library_that_the_design_rests_on() -> None:
    """If one of these changes, io/gzip.py may become simpler."""
    assert deflate.gzip_decompress(STREAM + b"garbage", len(DATA)) == DATA  # says nothing of the rest
    assert deflate.gzip_decompress(STREAM + STREAM, len(DATA)) == DATA  # first member only
    assert deflate.gzip_decompress(STREAM, len(DATA) + 1) == DATA  # the size is an upper limit
    for bad in (STREAM[:-1], STREAM[:-8] + bytes([STREAM[-8] ^ 1]) + STREAM[-7:], STREAM[:-1] + b"\1"):
        with pytest.raises(deflate.DeflateError):  # length, CRC, size of the first member are checked
            deflate.gzip_decompress(bad, len(DATA))
    with pytest.raises(deflate.DeflateError):
        deflate.gzip_decompress(STREAM, len(DATA) - 1)


@pytest.fixture(params=["library", "footer"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of finding the end of one member."""
    if request.param == "footer":
        monkeypatch.setattr(gzip, "_libdeflate", lambda: None)
    return str(request.param)


def test_the_library_says_how_many_bytes_a_member_took() -> None:
    call = gzip._libdeflate()
    assert call is not None, "io/gzip.py falls back to searching for the footer"
    out = np.empty(len(DATA) + 5, np.uint8)

    def ask(stream: bytes, room: int = len(DATA)) -> tuple[int, int] | None:
        return call(np.frombuffer(stream, np.uint8), out[:room])

    whole = len(STREAM), len(DATA)
    assert ask(STREAM) == ask(STREAM + b"garbage") == ask(STREAM + STREAM) == ask(STREAM, len(DATA) + 5) == whole
    assert bytes(out[: len(DATA)]) == DATA
    for bad in (STREAM[:-1], STREAM[:-8] + bytes([STREAM[-8] ^ 1]) + STREAM[-7:], STREAM[:-1] + b"\1", b"", b"abc"):
        assert ask(bad) is None
    assert ask(STREAM, len(DATA) - 1) is None


@pytest.mark.parametrize("chunk", [*range(1, 40), 100, 1000, 3011, 4096])
def test_no_chunk_border_breaks_a_valid_file(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip, "_CHUNK", chunk)
    for stream in (STREAM + bytes(33), MEMBERS, MEMBERS + bytes(1)):
        assert gzip.inflate(stream, len(DATA), "a") == (DATA, ())


def test_fast_and_slow_path_agree(way: str) -> None:
    assert gzip.inflate(STREAM, len(DATA), "a")[0] == gzip._inflate_members(STREAM, len(DATA), "a")[0] == DATA


def test_fast_path_is_the_one_taken(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip, "_inflate_members", None)
    assert gzip.inflate(STREAM, len(DATA), "a") == (DATA, ())


@pytest.mark.parametrize("extra", [STREAM, stdlib.compress(b"x", mtime=0), b"\1" + STREAM[-8:], STREAM[-8:]])
def test_what_follows_is_never_overlooked(way: str, extra: bytes) -> None:
    """Also where the file's last eight bytes are those of the first member."""
    if extra.startswith(gzip.MAGIC):
        with pytest.raises(ReadError, match="longer_than_claimed"):
            gzip.inflate(STREAM + extra, len(DATA), "a")
    else:
        assert gzip.inflate(STREAM + extra, len(DATA), "a") == (DATA, ("gzip_trailing_garbage",))


def test_head_of_members_shorter_than_the_header() -> None:
    assert gzip.inflate_head(MEMBERS, 3500, "a") == DATA[:3500]
    assert gzip.inflate_head(MEMBERS[:1000], 3500, "a") == DATA[: len(gzip.inflate_head(MEMBERS[:1000], 3500, "a"))]


@pytest.mark.parametrize(
    ("claimed", "compressed", "code"),
    [(4 << 30, 4 << 30, None), ((4 << 30) + 1, 4 << 30, "too_large"), (1032 * 10 + 65536, 10, None),
     (1032 * 10 + 65537, 10, "decompression_bomb")],
)  # fmt: skip
def test_claims(claimed: int, compressed: int, code: str | None) -> None:
    if code is None:
        gzip.check_claim("a", claimed, compressed, 4 << 30)
        return
    with pytest.raises(ReadError) as caught:
        gzip.check_claim("a", claimed, compressed, 4 << 30)
    assert caught.value.code == code
