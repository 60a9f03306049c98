"""What a fill is: the content that stands where a removed layer was. Facts as data, for options, claims and docs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FillFacts:
    """One fill. removes_content: nothing of the layer's own content is left, so it may support a claim; the others are
    diagnostics. needs: what must be at hand beside the scan: "" (nothing), "fill_profile" (of the model package) or
    "donors" (the option)."""

    name: str
    removes_content: bool
    formula: str
    needs: str = ""


# The order of this table is the order everywhere, of the options, the rows and the answers: removals, then diagnostics.
FILL_FACTS: dict[str, FillFacts] = {
    facts.name: facts
    for facts in (
        FillFacts(
            "cohort_profile", True, "mean of the training subjects' input by channel, layer and relative depth",
            "fill_profile",
        ),
        FillFacts(
            "constant", True, "one number per channel: mean of the fill profile, every region and depth bin counting "
            "alike", "fill_profile",
        ),
        FillFacts(
            "donor", True, "the same layer of a scan of another subject, at the same relative depth in the layer and "
            "the same place along the other axes, or the nearest place there that holds the layer", "donors",
        ),
        FillFacts(
            "blur", True, "sum over j outside the layer of g(i - j) x_j / sum over j outside the layer of g(i - j), "
            "g a Gaussian with an SD of an eighth of the grid along each axis",
        ),
        FillFacts("layer_mean", False, "the scan's own mean of the layer, by channel"),
        FillFacts("shuffle", False, "the layer's own voxels in an order drawn from the content, channels together"),
    )
}  # fmt: skip
FILLS: tuple[str, ...] = tuple(FILL_FACTS)
DEFAULT_FILLS: tuple[str, ...] = ("cohort_profile", "constant")


def removes_content(name: str) -> bool:
    """Whether a fill leaves nothing of the layer's own content; False for a name that is no fill of this library."""
    return name in FILL_FACTS and FILL_FACTS[name].removes_content


def is_diagnostic(name: str) -> bool:
    """Whether a fill keeps some of the layer's content, such as its mean: it supports no claim."""
    return name in FILL_FACTS and not FILL_FACTS[name].removes_content
