"""What the values of a mask are called, and the regions and groups that a definition asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import ConfigError
from ..quantify import Group, Reduction
from ..quantify.regions import RegionKind
from ..types import LAYERS

MAX_LABEL = 253  # two more codes are needed for the rims of eroded layers, and labels are uint8
BACKGROUND = "background"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
Layers = Mapping[str, int] | Sequence[str]


@dataclass(frozen=True, slots=True)
class Region:
    """A row of the table. labels: every label value in it, groups of groups flattened."""

    name: str
    kind: RegionKind
    labels: tuple[int, ...]
    group: Group | None = None

    @property
    def key(self) -> str:
        """As a group names its members."""
        return f"group:{self.name}" if self.kind == "group" else self.name

    @property
    def label_value(self) -> int | None:
        return None if self.kind == "group" else self.labels[0]


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


def regions_of(names: Mapping[int, str], definition: Reduction) -> list[Region]:
    """Background, layers by label value, groups as the definition lists them. Raises ConfigError for a member that is
    not there, a group inside itself, and a sum of shares whose members overlap."""
    out = [Region(name, "background" if value == 0 else "layer", (value,)) for value, name in names.items()]
    values = {name: value for value, name in names.items()}
    for name, group in definition.groups.items():
        labels = _flat(name, definition, values, ())
        if group.pooling == "sum_of_shares" and len(set(labels)) != len(labels):
            raise ConfigError(f"definition {definition.name!r}: the members of group {name!r} overlap, and a sum would "
                              "count voxels twice")  # fmt: skip
        out.append(Region(name, "group", tuple(sorted(set(labels))), group))
    return out


def _flat(name: str, definition: Reduction, values: Mapping[str, int], inside: tuple[str, ...]) -> list[int]:
    where = f"definition {definition.name!r}: group {name!r}"
    if name in inside:
        raise ConfigError(f"{where} is a member of itself, by way of {' > '.join((*inside, name))}")
    labels: list[int] = []
    for member in definition.groups[name].members:
        inner = member.removeprefix("group:")
        if member in values:
            labels.append(values[member])
        elif inner != member and inner in definition.groups:
            labels += _flat(inner, definition, values, (*inside, name))
        else:
            known = [*values, *(f"group:{other}" for other in definition.groups)]
            raise ConfigError(f"{where} has the member {member!r}; there are: {', '.join(known)}")
    return labels
