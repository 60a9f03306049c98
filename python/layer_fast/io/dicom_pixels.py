"""Pixels of a DICOM picture as grey values, one frame at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError

_COLOURED = 24  # of 255 between the largest and smallest of R, G, B: above the chroma noise of JPEG
_COLOUR_SHARE = 1e-3  # of a frame's pixels
_COLOUR_MODELS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "PALETTE COLOR")

Box = tuple[int, int, int, int]  # y0, y1, x0, x1


def luminance_frames(
    dataset: Any, shape: tuple[int, int, int], box: Box, name: str
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Decode to (frame, y, x), cut to `box`. Memory: the grey result plus one frame.

    Flag `colour_overlay`: some frame shows coloured pixels (Doppler, elastography, menus), whose luminance is not
    echo. Raises ReadError `dicom_pixels`, `decoder_missing`, `dicom_damaged`.
    """
    model = str(dataset.get("PhotometricInterpretation", ""))
    if model != "MONOCHROME2" and model not in _COLOUR_MODELS:
        raise ReadError("dicom_pixels", f"{name!r}: expected MONOCHROME2, RGB, YBR or PALETTE COLOR pixels")
    _check_decoder(dataset, name)
    out: NDArray[Any] | None = None
    coloured, count = False, 0
    for frame in _decode(dataset, model == "PALETTE COLOR", name):
        if frame.shape[:2] != shape[1:] or count == shape[0]:
            raise ReadError("dicom_damaged", f"{name!r}: decoded frames do not match the size that the header states")
        cut = frame[box[0] : box[1], box[2] : box[3]]
        grey, has_colour = _grey(cut)
        if out is None:
            out = np.empty((shape[0], *grey.shape), dtype=grey.dtype)
        out[count] = grey
        coloured, count = coloured or has_colour, count + 1
    if out is None or count != shape[0]:
        raise ReadError("dicom_damaged", f"{name!r}: expected {shape[0]} frames, found {count}")
    out.flags.writeable = False
    return out, ("colour_overlay",) if coloured else ()


def _check_decoder(dataset: Any, name: str) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        syntax = dataset.file_meta.TransferSyntaxUID
        decoder = get_decoder(syntax)
    except (AttributeError, NotImplementedError):
        raise ReadError("dicom_pixels", f"{name!r}: the transfer syntax is missing or not one of pixels") from None
    if not decoder.is_available:
        message = f"{name!r} is compressed as {syntax.name}: pip install 'layer_fast[dicom]' brings the decoders"
        raise ReadError("decoder_missing", message)


def _decode(dataset: Any, palette: bool, name: str) -> Any:
    """Frames (y, x) or (y, x, 3). Any failure of the third-party decoders is the file's."""
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import iter_pixels

    try:
        for frame in iter_pixels(dataset):
            yield apply_color_lut(frame, dataset) if palette else frame
    except Exception as error:
        raise ReadError("dicom_damaged", f"{name!r}: the pixels cannot be decoded ({type(error).__name__})") from None


def _grey(frame: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Luminance by ITU-R BT.601, weights 77, 150, 29 of 256: equal R, G, B stay as they are. And: has it colour?"""
    if frame.ndim == 2:
        return frame, False
    if frame.dtype == np.uint16:  # palettes of 16 bits
        frame = (frame >> 8).astype(np.uint8)
    red, green, blue = (frame[..., channel].astype(np.uint16) for channel in range(3))
    grey = ((77 * red + 150 * green + 29 * blue + 128) >> 8).astype(np.uint8)
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return grey, bool(np.count_nonzero(spread > _COLOURED) > _COLOUR_SHARE * spread.size)
