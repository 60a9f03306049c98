"""What the values of a mask are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..errors import ConfigError
from ..types import LAYERS

MAX_LABEL = 253  # two more codes are needed for the rims of eroded layers, and labels are uint8
BACKGROUND = "background"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
Layers = Mapping[str, int] | Sequence[str]


def label_names(layers: Layers | None) -> dict[int, str]:
    """Label value -> name, 0 background first. layers: names of the labels 1, 2, ..., or name -> label value; None: the
    six layers of the house. Raises ConfigError."""
    if layers is None:
        layers = LAYERS
    if isinstance(layers, str) or not isinstance(layers, Mapping | Sequence):
        raise ConfigError(f"[layers] expected names, or names with label values, found {layers!r:.80}")
    pairs = list(layers.items()) if isinstance(layers, Mapping) else [(name, i + 1) for i, name in enumerate(layers)]
    names: dict[int, str] = {0: BACKGROUND}
    for name, value in pairs:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(f"[layers] expected names of letters, digits and ._+-, found {name!r:.80}")
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LABEL:
            raise ConfigError(f"[layers] {name}: expected a label from 1 to {MAX_LABEL}, found {value!r:.80}")
        if value in names or name in names.values():
            raise ConfigError(f"[layers] expected every name and label once, found {name!r} and {value} again")
        names[value] = name
    if len(names) == 1:
        raise ConfigError("[layers] expected a layer, found none")
    return dict(sorted(names.items()))
