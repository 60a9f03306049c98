"""The rows that a definition asks for: background, layers and its groups, on labels of any names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ConfigError
from .reduction import Group, Reduction
from .regions import RegionKind


@dataclass(frozen=True, slots=True)
class DefinitionRegion:
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


def regions_of(names: Mapping[int, str], definition: Reduction) -> list[DefinitionRegion]:
    """Background, layers by label value, groups as the definition lists them. names: label value -> name.

    Raises ConfigError for a member that is not there, a group inside itself, and a sum of shares whose members overlap.
    """
    out = [DefinitionRegion(name, "background" if value == 0 else "layer", (value,)) for value, name in names.items()]
    values = {name: value for value, name in names.items()}
    for name, group in definition.groups.items():
        labels = _flat(name, definition, values, ())
        if group.pooling == "sum_of_shares" and len(set(labels)) != len(labels):
            raise ConfigError(f"definition {definition.name!r}: the members of group {name!r} overlap, and a sum would "
                              "count voxels twice")  # fmt: skip
        out.append(DefinitionRegion(name, "group", tuple(sorted(set(labels))), group))
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
