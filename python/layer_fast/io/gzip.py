"""Gzip streams inflated whole by libdeflate, with the CRC and the length of every member checked.

libdeflate takes one member, checks its CRC and its length and says how many bytes it took: where these are all, the
stream is whole. `deflate`, the package that brings the library, keeps that number back, so the library is called by
itself (`_libdeflate`). Everything else (several members, padding, garbage, damage) goes through zlib, which is slower
and says where each member ends.
"""

from __future__ import annotations

import ctypes
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError

MAGIC = b"\x1f\x8b"
MAX_RATIO = 1032  # deflate cannot do better
_RATIO_SLACK = 64 * 1024
_CHUNK = 1 << 20
Bytes = bytes | bytearray | memoryview


def check_claim(name: str, claimed: int, compressed: int, max_decoded_bytes: int) -> None:
    """Refuse a claimed size before anything is allocated.

    Raises ReadError `too_large` over the cap, `decompression_bomb` where `compressed` bytes cannot hold the claim.
    """
    if claimed > max_decoded_bytes:
        raise ReadError("too_large", f"{name!r} claims {claimed} bytes, at most {max_decoded_bytes} are decoded")
    if claimed > MAX_RATIO * compressed + _RATIO_SLACK:
        raise ReadError("decompression_bomb", f"{name!r}: {compressed} bytes cannot unpack to the {claimed} claimed")


def inflate_head(compressed: bytes, count: int, name: str) -> bytes:
    """The first `count` bytes of a gzip stream, fewer if `compressed` (the start of a file) holds fewer."""
    head = b""
    try:
        while len(head) < count and compressed[:2] == MAGIC:
            stream = zlib.decompressobj(31)
            head += stream.decompress(compressed, count - len(head))
            compressed = stream.unused_data
    except zlib.error:
        raise ReadError("gzip_damaged", f"{name!r}: the gzip stream is damaged at its start") from None
    return head


def inflate(compressed: Bytes, claimed: int, name: str, *, slack: int = 0) -> tuple[Bytes, tuple[str, ...]]:
    """The whole stream and its flags. `claimed` is the size expected, checked before by `check_claim`.

    At most `claimed + slack` bytes come back; the caller judges a shorter or longer result. Members that follow each
    other are joined, zero padding after the last is ignored, other bytes give the flag `gzip_trailing_garbage`.
    Raises ReadError `gzip_damaged` (CRC, length or code wrong), `gzip_truncated`, `longer_than_claimed`.
    """
    one_member = _one_member_by_footer if _libdeflate() is None else _one_member
    found = one_member(compressed, claimed)
    return (found, ()) if found is not None else _inflate_members(compressed, claimed + slack, name)


def _one_member(compressed: Bytes, claimed: int) -> memoryview | None:
    """What the stream holds where it is one member of exactly `claimed` bytes that ends with the stream, else None."""
    call = _libdeflate()
    out: NDArray[np.uint8] = np.empty(claimed, np.uint8)  # NumPy asks for huge pages, which a bytearray does not
    found = call(np.frombuffer(compressed, np.uint8), out) if call is not None else None
    return out.data if found == (len(compressed), claimed) else None


def _one_member_by_footer(compressed: Bytes, claimed: int) -> bytearray | None:
    """As `_one_member`, where the library cannot be called by itself. The Python function checks the FIRST member and
    says nothing of bytes that follow: its footer (CRC, length) must be the last eight bytes and occur nowhere else."""
    import deflate

    stream = bytes(compressed)
    try:
        data: bytearray = deflate.gzip_decompress(stream, claimed)
    except deflate.DeflateError:
        return None  # zlib finds out what is wrong, or that there are several members
    footer = struct.pack("<II", deflate.crc32(data), len(data) & 0xFFFFFFFF)
    return data if len(data) == claimed and stream.find(footer) == len(stream) - 8 else None


@cache
def _libdeflate() -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], tuple[int, int] | None] | None:
    """libdeflate's own function, found in the module of the package `deflate`; None where the module hides it.

    (compressed, out) -> bytes that the first member took and bytes that it gave, None where it is damaged or larger
    than `out`. The interpreter's lock is released meanwhile.
    """
    import deflate

    try:
        library = ctypes.CDLL(str(getattr(deflate, "_deflate", deflate).__file__))
        make, free = library.libdeflate_alloc_decompressor, library.libdeflate_free_decompressor
        run = library.libdeflate_gzip_decompress_ex
    except (OSError, AttributeError):
        return None
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    make.restype, free.argtypes, free.restype = pointer, [pointer], None
    run.restype = ctypes.c_int  # 0: whole, its CRC and length right
    run.argtypes = [pointer, pointer, size, pointer, size, ctypes.POINTER(size), ctypes.POINTER(size)]

    def call(compressed: NDArray[np.uint8], out: NDArray[np.uint8]) -> tuple[int, int] | None:
        taken, given = size(), size()
        state: Any = make()
        if not state:
            raise MemoryError("libdeflate has no memory for a decompressor")
        try:
            ends = ctypes.byref(taken), ctypes.byref(given)
            code = run(state, compressed.ctypes.data, compressed.size, out.ctypes.data, out.size, *ends)
        finally:
            free(state)
        return (taken.value, given.value) if code == 0 else None

    return call


def _inflate_members(compressed: Bytes, limit: int, name: str) -> tuple[bytearray, tuple[str, ...]]:
    out = bytearray()
    position = 0
    while True:
        position = _inflate_member(compressed, position, out, limit, name)
        while position < len(compressed) and compressed[position] == 0:
            run = bytes(compressed[position : position + _CHUNK])
            position += len(run) - len(run.lstrip(b"\0"))
        if position == len(compressed):
            return out, ()
        if compressed[position : position + 2] != MAGIC:
            return out, ("gzip_trailing_garbage",)


def _inflate_member(compressed: Bytes, start: int, out: bytearray, limit: int, name: str) -> int:
    """Append one member to `out`; return the position after it."""
    stream = zlib.decompressobj(31)
    position = start
    chunk: Bytes = b""
    while not stream.eof:
        if not chunk:
            chunk = compressed[position : position + _CHUNK]
            position += len(chunk)
            if not chunk:
                raise ReadError("gzip_truncated", f"{name!r}: the gzip stream ends before its checksum")
        try:
            out += stream.decompress(chunk, min(_CHUNK, limit + 1 - len(out)))
        except zlib.error:
            raise ReadError("gzip_damaged", f"{name!r}: the gzip stream is damaged or its checksum is wrong") from None
        chunk = stream.unconsumed_tail
        if len(out) > limit:
            raise ReadError("longer_than_claimed", f"{name!r}: the stream is longer than its header claims")
    return position - len(stream.unused_data)
