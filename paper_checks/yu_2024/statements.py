"""Yu, Chu, Tong, Wu, Pai, Buchanan, Ma, *Emergence of Segmentation with Minimalistic White-Box Transformers* (CPAL 2024).

Its experiments are of networks trained on millions of pictures. What is checked here is the same measurement at a scale that a
machine of two cores reaches in minutes, against every baseline that needs no training; it says nothing of the paper's own
scale, and no verdict is hoped for.
"""

from __future__ import annotations

from mcr2_landscape.claims import Claim, Form
from mcr2_landscape.verdict import Verdict

PAPER = "Yu, Chu, Tong et al., Emergence of Segmentation with Minimalistic White-Box Transformers (CPAL 2024)"
_CHECKS = "paper_checks.yu_2024.checks"

_PROTOCOL = (
    " Images have one textured figure on ground of another texture in the same grays; the label is the figure's texture. A "
    "mask is the patches that hold the top 60 % of the class token's attention in a head, or a normalized cut of a layer's "
    "tokens; head and layer are chosen on one half of the test images, and the intersection over union with the true mask is "
    "taken on the other. The baselines: the same network before training, the whole image, a disc in the middle, a cut and "
    "2-means by brightness."
)
_HYPOTHESES = (
    "a small CRATE as published, trained for minutes",
    "figures that brightness does not tell from the ground",
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="crate.emergence",
        title="Segmentation emerges in the attention of a small CRATE trained to classify",
        source=f"{PAPER}, section 3, at a small scale",
        form=Form.OWN,
        statement=(
            "In a CRATE trained to name a figure's texture, masks of the class token's attention have a larger intersection "
            "over union with the figures than every baseline." + _PROTOCOL
        ),
        hypotheses=_HYPOTHESES,
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:attention",
        group="crate-emergence",
    ),
    Claim(
        id="crate.emergence-of-cuts",
        title="Segmentation emerges in the tokens of a small CRATE trained to classify",
        source=f"{PAPER}, section 3, at a small scale",
        form=Form.OWN,
        statement=(
            "In a CRATE trained to name a figure's texture, normalized cuts of a layer's tokens have a larger intersection "
            "over union with the figures than every baseline." + _PROTOCOL
        ),
        hypotheses=_HYPOTHESES,
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:cuts",
        group="crate-emergence",
    ),
)
