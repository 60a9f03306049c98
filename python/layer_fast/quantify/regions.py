"""The rows of a layer table, in their fixed order: background, six layers, four groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..types import GROUPS, LAYERS, REGIONS

RegionKind = Literal["background", "layer", "group"]


@dataclass(frozen=True, slots=True)
class Region:
    """A set of label values with a name. The group "muscle" and the layer "muscle" differ by `kind`."""

    name: str
    kind: RegionKind
    label_value: int | None  # None for groups
    members: tuple[int, ...]

    @property
    def key(self) -> str:
        """Unique text: "layer:muscle", "group:muscle"."""
        return f"{self.kind}:{self.name}"


def _regions() -> tuple[Region, ...]:
    labels = [Region(n, "background" if v == 0 else "layer", v, (v,)) for v, n in enumerate(REGIONS)]
    return (*labels, *(Region(name, "group", None, members) for name, members in GROUPS.items()))


REGION_ORDER: tuple[Region, ...] = _regions()
NUM_LABELS = len(REGIONS)  # label values 0..6; also the number of players
NUM_REGIONS = len(REGION_ORDER)
LAYER_ROWS: tuple[int, ...] = tuple(range(1, len(LAYERS) + 1))  # positions of the six layers in REGION_ORDER
ROW_OF: dict[tuple[str, str], int] = {(r.kind, r.name): i for i, r in enumerate(REGION_ORDER)}
