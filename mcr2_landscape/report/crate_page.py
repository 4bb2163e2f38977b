"""What goes on the page of an examined network for images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcr2_landscape.report import crate_pictures, crate_tables
from mcr2_landscape.report.page import Page, Picture, Section, flat
from mcr2_landscape.report.style import embed
from mcr2_landscape.report.tables import NONE, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcr2_landscape.training.image_examination import ImageExamination

_LONGEST = 300


def crate_page(result: ImageExamination, provenance: Mapping[str, Any]) -> Page:
    """The report of `crate`."""
    a, training = result.architecture, result.training
    seen = result.segmentation
    facts = [
        ("parameters", f"{result.parameters:,}"),
        ("layers, heads, width", f"{a.depth}, {a.heads}, {a.dim}"),
        ("test accuracy", NONE if result.test_accuracy is None else f"{result.test_accuracy:.1%}"),
        ("steps", NONE if training is None else f"{training.training.step:,} of {training.training.num_steps:,}"),
    ]
    if result.completion is not None:
        facts[2] = ("loss on hidden patches", text(result.completion.loss.mean, 4))
    if seen is not None:
        facts += [
            ("emerges in attention", seen.attention.verdict.value),
            ("emerges in cuts", seen.cuts.verdict.value),
        ]
    sections = [
        _training(result),
        _rates(result),
        _halves(result),
        *_positions(result),
        *_class_tokens(result),
        *_masks(result),
        *_completions(result),
        Section("Architecture", _ARCHITECTURE, tables=(crate_tables.architecture(result),)),
    ]
    ended = "" if training is None or training.training.stopped.value == "finished" else training.training.reason
    return Page(
        title="What the layers of a network for images do",
        subtitle=f"{result.source}: {result.num_train:,} images for training, {result.num_test:,} for the test",
        facts=tuple(facts),
        findings=result.summary,
        notes=result.notes,
        warning=f"The training is not complete: {ended}." if ended else "",
        sections=tuple(section for section in sections if section is not None),
        provenance=flat(provenance),
    )


_ARCHITECTURE = (
    "The shape and every switch of the network; docs/whitebox.md says which published code or derivation each is of."
)
_RATES = (
    "R_c(Z|U) is the coding rate of a layer's tokens against the layer's own bases. The derivation makes the attention half a "
    "step that lowers it. Whether it does depends on what is measured, so that there are three measures: of the tokens as they "
    "are, of tokens brought to one length, and, as published figures measure it, of each head's projections of what enters the "
    "layer, brought to length one. The gray curves are of the same network before any training: what they show already is no "
    "sign of learning. Bases differ from layer to layer, so values of different layers are not of one function."
)
_HALVES = (
    "Nonzero entries: of the layer's output, class token included, and of the codes where these are something else. η‖D‖² "
    "below 2 (dashed) makes the sparsification half a proximal gradient step that cannot raise its objective; the change of "
    "that objective is from the first point that is feasible. The cosine is between what the attention half adds and −∇R_c at "
    "the tokens as they are: positive where it descends. ρ = α max ‖U_kᵀZ‖²: below 1 (dashed) the Neumann series behind the "
    "attention half converges."
)
_POSITIONS = (
    "f = R − R_c with a layer's own bases is what a layer is derived to raise, at the tokens as they are. Its relative "
    "gradient is 0 at a critical point and 1 where nothing cancels. Directions are eigenvectors of the Hessian of f at the "
    "tokens that enter the layer; at a local maximizer it would bend upwards along none. A slope is the cosine between ∇f and "
    "what is added: positive where f rises at first."
)
_CLASS_TOKENS = (
    "The class tokens that leave a layer, as features with the images' labels, in the landscape of the regularized rate "
    'reduction F = ΔR − (λ/2)‖Z‖²: at the scale at which F is largest, λ half of its limit. Only the task "features" trains '
    "for something like it. `analyze` says more of those in features.npz, which are the last layer's."
)
_MASKS = (
    "Masks hold the patches with most of the class token's attention, or are the foreground of the normalized cut of a layer's "
    "patch tokens. Layer and head were chosen on half of the images and judged on the other half; the best place in hindsight "
    "flatters. Segmentation emerges where the chosen place exceeds every baseline: the same network at random initialization, "
    "the whole image, a disc in the middle, and two segmentations by color."
)
_COMPLETIONS = (
    "Mean squared error on hidden patches, beside the network at random initialization, the mean of all training patches, and "
    "their mean at the same place. The visible patches are shown as they are."
)


def _picture(figure: Figure, caption: str, alternative: str, form: str = "svg") -> Picture:
    return Picture(embed(figure, form=form), caption, alternative, round(96 * figure.get_figwidth()))


def _training(result: ImageExamination) -> Section:
    if result.training is None:
        return Section("Training", "Nothing was trained: the weights were read from a file.")
    own = result.training.training
    words = f"Task: {result.task}. {own.reason[0].upper()}{own.reason[1:]}; the last loss is {own.loss:.4g}."
    if len(own.history["step"]) < 2:
        return Section("Training", words)
    caption = "Loss and metric of the batches that were recorded, labels smoothed where there are any."
    return Section("Training", words, (_picture(crate_pictures.history(own), caption, "Loss over the steps"),))


def _rates(result: ImageExamination) -> Section | None:
    if not crate_pictures.has_rates(result):
        return None
    caption = (
        "Above, R_c before each layer; below, what its attention half changes of it, with two standard errors over "
        f"{result.num_measured} test images: below the line it compresses."
    )
    pictures = (_picture(crate_pictures.rates(result), caption, "Coding rate by layer, trained and random"),)
    tables = tuple(crate_tables.layers(result, state).first(_LONGEST) for state in ("trained", "random"))
    return Section("Coding rate, layer by layer", _RATES, pictures, tables)


def _halves(result: ImageExamination) -> Section:
    bars = "Two standard errors over images; the step size depends on no image."
    picture = _picture(crate_pictures.halves(result), bars, "Sparsity, step size and alignment by layer")
    has_rates = crate_pictures.has_rates(result)
    tables = () if has_rates else (crate_tables.layers(result), crate_tables.layers(result, "random"))
    return Section("The two halves", _HALVES if has_rates else _HALVES.split(" The cosine")[0], (picture,), tables)


def _positions(result: ImageExamination) -> tuple[Section, ...]:
    table = crate_tables.positions(result)
    if table is None:
        return ()
    images = result.positions["trained"].value.shape[1]
    picture = _picture(
        crate_pictures.positions(result),
        f"A point is one of {images} test images.",
        "Gradient, change and curvature of f by layer",
    )
    return (Section("Positions in the landscape", _POSITIONS, (picture,), (table.first(_LONGEST),)),)


def _class_tokens(result: ImageExamination) -> tuple[Section, ...]:
    table = crate_tables.class_tokens(result)
    return () if table is None else (Section("Class tokens in the landscape", _CLASS_TOKENS, tables=(table.first(_LONGEST),)),)


def _masks(result: ImageExamination) -> tuple[Section, ...]:
    seen, table = result.pictures, crate_tables.segmentation(result)
    if seen.maps is None or seen.layer is None:
        return ()
    count, heads = seen.maps.shape[1], min(crate_pictures.HEADS, seen.maps.shape[1])
    which = f"layer {seen.layer + 1}" + (", the one that was chosen" if table is not None else ", the last one")
    caption = f"The class token's attention to the patches in {which}; each map has a scale of its own."
    if count > heads:
        caption += f" {heads} of {count} heads are shown."
    if table is not None:
        caption += f" * marks the chosen head; the cut is of the tokens of layer {(seen.cut_layer or 0) + 1}."
    pictures = [_picture(crate_pictures.mosaic(result), caption, "Test images with attention maps", form="png")]
    if table is None:
        words = "There are no masks to compare with: the maps are shown, and nothing is concluded from them."
        return (Section("Attention maps", words, tuple(pictures)),)
    over = "A point is a head (left) or a layer (right); lines are masks that need no network."
    pictures.insert(0, _picture(crate_pictures.overlaps(result), over, "Intersection over union by layer and head"))
    return (Section("Segmentation", _MASKS, tuple(pictures), (table,)),)


def _completions(result: ImageExamination) -> tuple[Section, ...]:
    table = crate_tables.completion(result)
    if table is None:
        return ()
    caption = f"Test images with {result.architecture.mask_ratio:.0%} of their patches hidden (gray), and completed."
    if result.architecture.normalized_targets:
        caption += " Predicted patches have the true patches' means and deviations, which the network does not see."
    picture = _picture(crate_pictures.completions(result), caption, "Images, visible parts and completions", form="png")
    return (Section("Completions", _COMPLETIONS, (picture,), (table,)),)
