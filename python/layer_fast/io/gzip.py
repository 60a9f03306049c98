"""Gzip streams inflated whole by libdeflate, with the CRC and the length of every member checked.

What `deflate.gzip_decompress` does, found by test: it checks CRC and length of the FIRST member, takes the size given
as an upper limit, and says nothing of bytes that follow. So the end of the stream is found here: the footer (CRC,
length) of what came out must be the last eight bytes and must not occur earlier. Everything else (several members,
padding, garbage, damage) goes through zlib, which is slower and says where each member ends.
"""

from __future__ import annotations

import struct
import zlib

from ..errors import ReadError

MAGIC = b"\x1f\x8b"
MAX_RATIO = 1032  # deflate cannot do better
_RATIO_SLACK = 64 * 1024
_CHUNK = 1 << 20


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


def inflate(
    compressed: bytes | bytearray, claimed: int, name: str, *, slack: int = 0
) -> tuple[bytearray, tuple[str, ...]]:
    """The whole stream and its flags. `claimed` is the size expected, checked before by `check_claim`.

    At most `claimed + slack` bytes come back; the caller judges a shorter or longer result. Members that follow each
    other are joined, zero padding after the last is ignored, other bytes give the flag `gzip_trailing_garbage`.
    Raises ReadError `gzip_damaged` (CRC, length or code wrong), `gzip_truncated`, `longer_than_claimed`.
    """
    import deflate

    try:
        data = deflate.gzip_decompress(compressed, claimed)
    except deflate.DeflateError:
        pass  # zlib finds out what is wrong, or that there are several members
    else:
        footer = struct.pack("<II", deflate.crc32(data), len(data) & 0xFFFFFFFF)
        if len(data) == claimed and compressed.find(footer) == len(compressed) - 8:
            return data, ()
        del data
    return _inflate_members(compressed, claimed + slack, name)


def _inflate_members(compressed: bytes | bytearray, limit: int, name: str) -> tuple[bytearray, tuple[str, ...]]:
    out = bytearray()
    position = 0
    while True:
        position = _inflate_member(compressed, position, out, limit, name)
        while position < len(compressed) and compressed[position] == 0:
            run = compressed[position : position + _CHUNK]
            position += len(run) - len(run.lstrip(b"\0"))
        if position == len(compressed):
            return out, ()
        if compressed[position : position + 2] != MAGIC:
            return out, ("gzip_trailing_garbage",)


def _inflate_member(compressed: bytes | bytearray, start: int, out: bytearray, limit: int, name: str) -> int:
    """Append one member to `out`; return the position after it."""
    stream = zlib.decompressobj(31)
    position = start
    chunk: bytes | bytearray = b""
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
