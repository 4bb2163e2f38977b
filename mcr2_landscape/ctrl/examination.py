"""Everything that the game on labeled data says, in one record: what the command line prints and reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mcr2_landscape.ctrl import values
from mcr2_landscape.ctrl.findings import advise, summarize
from mcr2_landscape.ctrl.game import SubspaceGame
from mcr2_landscape.ctrl.hypotheses import Hypothesis
from mcr2_landscape.ctrl.images import SAMPLES, Images, images_of
from mcr2_landscape.ctrl.multiplicity import capacity_of, full_rank_threshold, injectivity_bound, optimal_multiplicity, value_of
from mcr2_landscape.ctrl.optimum import Optimum, upper_bound
from mcr2_landscape.ctrl.solve import NUM_STARTS, check_memory, kept_dimensions
from mcr2_landscape.ctrl.spans import Spans, check_entries, check_samples, spans_of
from mcr2_landscape.data.normalization import unit_classes, unit_samples
from mcr2_landscape.mcr2.features import encode_labels
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real
from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.equilibrium import EquilibriumReport
    from mcr2_landscape.ctrl.solve import Equilibrium

NORMALIZATIONS = ("none", "samples", "classes")
_FEWEST, _AFFORDABLE = 4, 12_000  # starts of a search; unknowns of all starts together
_PROFILE = 400  # numbers of directions at which a class's profile is computed
_MENTIONED = 1e-9  # of a class's squared norm: less left out is not worth a word
_GAP = 10.0  # a factor that singular values of samples in general position rarely leave by chance


@dataclass(frozen=True)
class ClassExamination(Record):
    """One class of the data.

    **Fields:** `name`, `size` n_j, `rank` r_j, `singular_values` of X_j; `capacity`, N_j/r_j, and `threshold`, what it must
    exceed for all of a class of this rank to be kept (0 for rank one); `epsilon_needed`, the coding precision below which that
    is so (`None` for rank one: always). `optimal`: the best number of directions m*_j for the class alone, `tied` another
    number as good. `left_out`: the share of ‖X_j‖² that the rank tolerance left out; all else here is of the rest.

    At the equilibrium found: `encoded`, the singular values of f(X_j), `kept`, how many are not zero, and `level`, √(n_j/kept),
    their common value where the classes are orthogonal (0 where none is kept); `directions`, shape (r_j,): the share of each
    principal direction's variance that is a linear function of f(x); `variance`, the share of the whole class's.
    `variance_range`: the least and the most that an encoder that keeps as many directions can keep. `determined`: whether all
    equilibria keep the same directions of the class.

    `closest` and `angle`: the other class at the smallest principal angle, in degrees. `shared`: the dimensions that the two
    have in common.

    `profile_counts` and `profile_values`: numbers m of directions and m H(N_j/m), what they add; beyond r_j for comparison.
    """

    name: str
    size: int
    rank: int
    singular_values: np.ndarray = field(repr=False)
    capacity: float
    threshold: float
    epsilon_needed: float | None
    optimal: int
    tied: int | None
    left_out: float
    level: float
    kept: int
    encoded: np.ndarray = field(repr=False)
    directions: np.ndarray = field(repr=False)
    variance: float
    variance_range: tuple[float, float]
    determined: Verdict
    closest: str
    angle: float
    shared: int
    profile_counts: np.ndarray = field(repr=False, metadata={"json": False})
    profile_values: np.ndarray = field(repr=False, metadata={"json": False})


@dataclass(frozen=True)
class RankGap(Record):
    """The widest gap that no class has a singular value in: any `rank_tolerance` in it gives the classes the same `ranks`.

    `tolerance` lies in its middle, `ratio` is its upper end over its lower one. `plain`: whether that is tenfold or more. The
    widest gap of data without noise is one between directions that are all there, as a rule not plain: a tolerance in it cuts
    real ones.
    """

    tolerance: float
    ratio: float
    ranks: tuple[int, ...]

    _derived = ("plain",)

    @property
    def plain(self) -> bool:
        """Whether it is wider than chance makes it, as a rule."""
        return self.ratio >= _GAP


@dataclass(frozen=True)
class OnSamples(Record):
    """The encoder found on the samples as they are, with what the rank tolerance left out.

    `feasibility`: ‖F X_j‖²/n_j, shape (K,), of which more than one is not allowed; `value`: ΔR(FX); `feasible_value`: ΔR(FX)
    after F is divided by the least number that makes it feasible.
    """

    feasibility: np.ndarray
    value: float
    feasible_value: float


@dataclass(frozen=True)
class Examination(Record):
    """What the game on labeled data has for its players.

    `rank_tolerance`: as given; `tolerance`: what a singular value had to exceed to count; `gap`: the widest gap among the
    singular values of all classes (`None` where the ranks leave none). `independence`: the smallest singular value of the
    classes' bases side by side, 0 where they are dependent. `independent_before`: whether they were independent before the mean
    was subtracted (`None` where it was not, or they are so afterwards). `total_rank`: Σ r_j; `rank`: of X.

    `optimum`: in closed form, `None` for dependent classes; `upper_bound`: no encoder exceeds it. `equilibrium`: what was
    found, `equilibrium_report` what kind of equilibrium it is. `injectivity_epsilon`: the coding precision below which every
    class is kept whole at this d_z (where Σ r_j dimensions fit), `None` where all ranks are one; `injectivity_dim`: the d_z
    from which on it is at this precision.

    `on_samples`: what the encoder has on the samples with all that the rank tolerance left out, `None` where that is nothing
    worth mentioning. Everything else is of what the tolerance left.

    `angles`: smallest principal angles between classes in degrees, shape (K, K). `summary` and `advice`: sentences. `game` and
    `images` are not part of the JSON form.
    """

    source: str
    num_samples: int
    ambient_dim: int
    dim: int
    epsilon: float
    normalization: str
    centered: bool
    rank_tolerance: float | None
    tolerance: float
    gap: RankGap | None
    total_rank: int
    rank: int
    independence: float
    independent_before: bool | None
    hypotheses: tuple[Hypothesis, ...]
    optimum: Optimum | None
    upper_bound: float
    equilibrium: Equilibrium
    equilibrium_report: EquilibriumReport
    injectivity_epsilon: float | None
    injectivity_dim: int
    on_samples: OnSamples | None
    classes: tuple[ClassExamination, ...]
    angles: np.ndarray = field(repr=False)
    summary: tuple[str, ...]
    advice: tuple[str, ...]
    notes: tuple[str, ...]
    game: SubspaceGame = field(repr=False, metadata={"json": False})
    images: Images = field(repr=False, metadata={"json": False})

    @property
    def independent(self) -> bool:
        """Whether the classes' subspaces are linearly independent, numerically."""
        return self.game.spans.independent

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C cut the search for an equilibrium short."""
        return self.equilibrium.interrupted


def examine(
    X: Any,
    labels: Any,
    *,
    dim: int,
    epsilon: float,
    key: Any = 0,
    rank_tolerance: float | None = None,
    normalize: str = "none",
    center: bool = False,
    num_starts: int | None = None,
    dtype: str | None = None,
    source: str = "data",
    notes: Sequence[str] = (),
    progress: bool | Callable[[int, int, int], None] = False,
    announce: Callable[[str], None] | None = None,
) -> Examination:
    """Play the game of multiple-subspace pursuit on labeled data, and say what encoder and decoder make of them.

    **Arguments:** `X` (samples, d_x), any real dtype; `labels`, one a sample, of any hashable kind, in any order. `dim`: d_z;
    `epsilon`: the coding precision. `key`: the starts of searches, and random directions. `rank_tolerance`: singular values of
    a class up to this, in the units of X as normalized, count as zero. `normalize`: "none", "samples" (each to length 1) or
    "classes" (‖X_j‖² = n_j). `center`: subtract the mean of all samples first. `num_starts`: random ones of the search, where
    no closed form decides; by default those of `SubspaceGame.solve`, or fewer where they would take many minutes. `dtype`: the
    name of the type that the data were stored in, where it is coarser than X's; ranks are read off with its rounding. `source`:
    where the data come from, in words; `notes`: what was done to them before, in sentences. `progress`: as
    `SubspaceGame.solve`. `announce`: is told, in a sentence, of a search that may take long.

    **Returns:** `Examination`. Ctrl-C during a search stops it; the best that it had found is in the result, marked
    `interrupted`.

    **Raises:** `InputError` as `SubspaceGame`, for a zero sample or class that is to be normalized, or numbers out of range.
    """
    if num_starts is not None:
        positive_integer("num_starts", num_starts)
    positive_integer("dim", dim)  # before the data are factored, which may take long
    positive_real("epsilon", epsilon)
    dtype = str(getattr(X, "dtype", None)) if dtype is None else _dtype(dtype)
    raw = X
    check_samples(X)
    check_memory(dim, int(np.shape(X)[1]), SAMPLES)
    X, words = normalized(X, labels, normalize, center)
    spans = spans_of(X, labels, rank_tolerance, dtype=dtype)
    game = SubspaceGame.from_spans(spans, dim=dim, epsilon=epsilon)
    optimum = game.optimum() if spans.independent else None
    starts = affordable_starts(game) if num_starts is None else num_starts
    if announce is not None and not spans.independent:
        announce(
            "the classes are dependent: looking for an equilibrium, which can take minutes (Ctrl-C keeps the best so far; a "
            "rank tolerance makes noisy classes smaller)"
        )
    equilibrium = game.solve(key=key, num_starts=starts, progress=progress)
    report = game.verify_equilibrium(equilibrium.F, equilibrium.G, attainable=equilibrium.value)
    array = np.asarray(X)
    seen = _seen(spans, lambda rows: array[rows].astype(np.float64, copy=False), equilibrium.F)
    left_out = [own.left_out for own in seen]
    classes = classes_of(game, optimum, equilibrium.F, left_out)
    needed = [c.epsilon_needed for c in classes if c.epsilon_needed is not None]
    result = Examination(
        source=source,
        num_samples=sum(spans.sizes),
        ambient_dim=game.ambient_dim,
        dim=game.dim,
        epsilon=game.epsilon,
        normalization=normalize,
        centered=center,
        rank_tolerance=rank_tolerance,
        tolerance=spans.tolerance,
        gap=common_gap(spans),
        total_rank=sum(spans.ranks),
        rank=spans.span.shape[1],
        independence=spans.independence,
        independent_before=_independent_before(raw, labels, normalize, rank_tolerance, dtype)
        if center and not spans.independent
        else None,
        hypotheses=game.hypotheses(),
        optimum=optimum,
        upper_bound=upper_bound(game.sizes, game.ranks, game.dim, game.epsilon) if optimum is None else optimum.upper_bound,
        equilibrium=equilibrium,
        equilibrium_report=report,
        injectivity_epsilon=min(needed, default=None),
        injectivity_dim=injectivity_dim(spans, game.epsilon),
        on_samples=_on_samples(game, [own.image for own in seen]) if max(left_out) > _MENTIONED else None,
        classes=classes,
        angles=spans.angles,
        summary=(),
        advice=(),
        notes=(*notes, *words),
        game=game,
        images=images_of(lambda rows: array[rows].astype(np.float64), spans, equilibrium.F, equilibrium.G),
    )
    return dataclasses.replace(result, summary=summarize(result), advice=advise(result))


def _dtype(value: Any) -> str:
    """The name of a dtype of real numbers.

    **Raises:** `InputError` for what is none.
    """
    try:
        name = value if isinstance(value, str) and value.startswith(("bfloat16", "float8")) else np.dtype(value).name
    except TypeError:
        name = ""
    if not name.startswith(("float", "bfloat", "int", "uint", "bool", "longdouble")):
        raise InputError(f"dtype: found {value!r}; pass the name of the type that the data were stored in, such as 'float32'")
    return name


class _Seen(NamedTuple):
    """A class with all that the rank tolerance left out: its `image` F X_j, in as few columns as have the same second moment,
    and the share `left_out` of its squared norm."""

    image: np.ndarray
    left_out: float


def _seen(spans: Spans, samples: Callable[[np.ndarray], np.ndarray], F: np.ndarray) -> list[_Seen]:
    found = []
    for places, own in zip(np.split(spans.order, np.cumsum(spans.sizes)[:-1]), spans.values, strict=True):
        rows = samples(places)
        norm = float(np.linalg.norm(rows))
        image = rows @ F.T
        if image.shape[0] > image.shape[1]:
            image = np.asarray(np.linalg.qr(image, mode="r"))
        found.append(_Seen(image.T, max(0.0, 1 - float(np.sum((own / norm) ** 2)))))
    return found


def _on_samples(game: SubspaceGame, images: list[np.ndarray]) -> OnSamples:
    feasibility = np.array([np.sum(image**2) / size for image, size in zip(images, game.sizes, strict=True)])
    over = max(1.0, float(np.sqrt(feasibility.max())))
    value, feasible = (
        values.expressiveness(images, game.sizes, game.dim, game.epsilon, np.eye(game.dim) / by) for by in (1.0, over)
    )
    return OnSamples(feasibility, value, feasible)


def _independent_before(X: Any, labels: Any, normalize: str, rank_tolerance: float | None, dtype: str) -> bool | None:
    """Whether the classes are independent before the mean is subtracted; `None` where their ranks are not plain."""
    try:
        return spans_of(normalized(X, labels, normalize)[0], labels, rank_tolerance, dtype=dtype).independent
    except InputError:
        return None


def affordable_starts(game: SubspaceGame) -> int:
    """Random starts of a search: as `SubspaceGame.solve`, fewer where each takes many seconds."""
    return max(_FEWEST, min(NUM_STARTS, _AFFORDABLE // (game.dim * game.spans.span.shape[1])))


def normalized(X: Any, labels: Any, normalize: str, center: bool = False) -> tuple[Any, tuple[str, ...]]:
    """X (samples, d_x) as the game is to see it, and what was done, in sentences.

    **Raises:** `InputError` for an unknown word, NaN, or what is zero and cannot be normalized.
    """
    if normalize not in NORMALIZATIONS:
        raise InputError(f"normalize: found {normalize!r}; pass one of {', '.join(NORMALIZATIONS)}")
    if normalize == "none" and not center:
        return X, ()
    rows = float64_matrix("X", X, (None, None), refuse_float32=False)
    check_entries(rows)
    said: tuple[str, ...] = ()
    if center:
        rows, said = rows - rows.mean(axis=0), ("the mean of all samples was subtracted",)
    if normalize == "none":
        return rows, said
    if normalize == "samples":
        return unit_samples(rows, centered=center), (*said, "each sample was divided by its length")
    codes, names = encode_labels(labels)
    if codes.size != rows.shape[0]:
        raise InputError(f"labels: found {codes.size} for {rows.shape[0]} samples (rows of X); pass one a sample")
    return unit_classes(rows, codes, names), (*said, "each class was scaled to ‖X_j‖² = n_j")


def common_gap(spans: Spans) -> RankGap | None:
    """The widest gap among the singular values of all classes that leaves each of them one at least; `None` without one.

    It need not be one of noise: see `RankGap`.

    **Raises:** `InputError` for what is no `Spans` (`SubspaceGame.spans`).
    """
    if not isinstance(spans, Spans):
        raise InputError(f"spans: found {type(spans).__name__}; pass the spans of a SubspaceGame (game.spans)")
    least = min(float(values[0]) for values in spans.values)  # every class keeps its largest
    pool = np.sort(np.concatenate(spans.values))
    pool = pool[pool <= least]
    if pool.size < 2:
        return None
    ratios = pool[1:] / pool[:-1]
    at = int(ratios.argmax())
    tolerance = float(np.sqrt(pool[at] * pool[at + 1]))
    return RankGap(tolerance, float(ratios[at]), tuple(int((values > tolerance).sum()) for values in spans.values))


def injectivity_dim(spans: Spans, epsilon: float) -> int:
    """The least d_z into which all classes fit side by side and at which the encoder keeps each of them whole."""
    needed = sum(spans.ranks)
    for rank, gamma in zip(spans.ranks, spans.proportions, strict=True):
        if rank > 1:  # N_j/r_j above the threshold, N_j = (d_z/ε²)√γ_j
            least = full_rank_threshold(rank, float(gamma)) * rank * epsilon**2 / float(np.sqrt(gamma))
            needed = max(needed, int(np.floor(least)) + 1)
    return needed


def classes_of(
    game: SubspaceGame, optimum: Optimum | None, F: np.ndarray, left_out: Sequence[float] | None = None
) -> tuple[ClassExamination, ...]:
    """What an encoder F (d_z, d_x) keeps of each class; `optimum` of the game, where it is known; `left_out`: what the rank
    tolerance left out of each class."""
    spans, n = game.spans, sum(game.sizes)
    names = class_names(spans)
    angles = spans.cosines - np.eye(len(names))
    blocks = [np.linalg.svd(F @ C, full_matrices=False)[1:] for C in spans.factors]
    kept = kept_dimensions(game, F)
    shapes = list(zip(game.ranks, spans.proportions.tolist(), strict=True))
    alone = [optimal_multiplicity(n, rank, gamma, game.dim, game.epsilon) for rank, gamma in shapes]
    fits = sum(best.multiplicity for best in alone) <= game.dim
    found = []
    for j, (size, (rank, gamma), best) in enumerate(zip(game.sizes, shapes, alone, strict=True)):
        s, Vt = blocks[j]
        spectrum = spans.values[j]
        threshold, capacity = full_rank_threshold(rank, gamma), capacity_of(gamma, game.dim, game.epsilon)
        directions = np.sum(Vt[: kept[j]] ** 2, axis=0)
        shares = (spectrum / np.linalg.norm(spectrum)) ** 2
        closest = int(angles[j].argmax())
        counts, heights = _profile(rank, capacity, gamma)
        found.append(
            ClassExamination(
                name=names[j],
                size=size,
                rank=rank,
                singular_values=spectrum,
                capacity=capacity / rank,
                threshold=threshold,
                epsilon_needed=float(np.sqrt(game.dim * np.sqrt(gamma) / (rank * threshold))) if rank > 1 else None,
                optimal=best.multiplicity,
                tied=best.tied,
                left_out=0.0 if left_out is None else left_out[j],
                level=float(np.sqrt(size / kept[j])) if kept[j] else 0.0,
                kept=kept[j],
                encoded=s[:rank],
                directions=directions,
                variance=float(shares @ directions),
                variance_range=(float(shares[rank - kept[j] :].sum()), float(shares[: kept[j]].sum())),
                determined=_determined(optimum, j, rank, kept[j], fits),
                closest=names[closest],
                angle=spans.angle(j, closest),
                shared=spans.shared(j, closest),
                profile_counts=counts,
                profile_values=heights,
            )
        )
    return tuple(found)


def class_names(spans: Spans) -> tuple[str, ...]:
    """The classes' names as words that differ: 1 and "1" are two classes."""
    names = tuple(str(name) for name in spans.names)
    return names if len(set(names)) == len(names) else tuple(repr(name) for name in spans.names)


def _determined(optimum: Optimum | None, j: int, rank: int, kept: int, fits: bool) -> Verdict:
    """Whether all equilibria keep the same directions: the utility sees f(X_j)'s singular values and the orthogonality of the
    classes alone, so that any m of a class's dimensions do as well as any other m."""
    if optimum is None or not optimum.decided:
        return Verdict.UNDECIDED
    if optimum.tied[j] is not None or 0 < optimum.multiplicities[j] < rank:
        return Verdict.REFUTED
    # where not all fit, which classes go without may be a matter of choice
    return Verdict.HOLDS if fits and kept == optimum.multiplicities[j] else Verdict.UNDECIDED


def _profile(rank: int, capacity: float, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of directions up to the rank, and on to where the best one would lie, with what they add."""
    beyond = int(np.ceil(capacity / injectivity_bound(gamma))) + 1
    last = max(rank + 1, min(2 * rank + 2, beyond))
    counts = np.unique(np.linspace(0, last, min(last, _PROFILE) + 1).round().astype(np.int64))
    counts = np.union1d(counts, [rank])
    return counts, np.array([value_of(int(m), capacity, gamma) for m in counts])
