"""Atoms learned from images, and what they make of images that they have not seen, beside random ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from mcr2_landscape.validation import InputError, positive_integer, positive_real

if TYPE_CHECKING:
    from mcr2_landscape import csc

_TRAINING = ("brick", "grass")
_UNSEEN = ("camera", "coins", "gravel", "moon")
_SHOWN = 6
_GAP = 1e-3  # in units of ½‖x‖²
_ROUNDS, _STEPS = 12, 100  # of iterations at most


@dataclass(frozen=True)
class Coded:
    """One dictionary, and codes of images at several sparsities.

    Of the `sparsities` each has an entry in: `learned_error`, the part of the held-out images' squares (less each image's mean)
    that the codes of the learned atoms leave over, `learned_active`, how many codes are not zero for each pixel,
    `learned_objective`, a pixel's; the same `random_…` for the random atoms that the learning began with, and `training_error`
    and `training_active`, of the learned atoms on images that they were learned from. `worst_gap`: the greatest duality gap of
    all of these codes, in units of ½‖x‖². **Further fields:** `history`, the objective of learning, of a pixel, at
    the start and after each alternation; `usage`, the part of Σ|c| that each atom has, in falling order, in which the atoms
    stand; `dead`, how many are never used.

    Arrays: `atoms` and `random_atoms` (K, k, k); the six held-out images with the most contrast, `shown_images` (6, H, W), and
    at each sparsity `shown_learned` and `shown_random` (S, 6, H, W), what codes make of them, each image's mean put back.
    """

    learned_error: tuple[float, ...]
    learned_active: tuple[float, ...]
    learned_objective: tuple[float, ...]
    random_error: tuple[float, ...]
    random_active: tuple[float, ...]
    random_objective: tuple[float, ...]
    training_error: tuple[float, ...]
    training_active: tuple[float, ...]
    worst_gap: float
    history: tuple[float, ...]
    usage: tuple[float, ...]
    dead: int
    atoms: np.ndarray
    random_atoms: np.ndarray
    shown_images: np.ndarray
    shown_learned: np.ndarray
    shown_random: np.ndarray


def csc_images(
    *,
    data: Literal["digits", "pictures"] = "digits",
    num_atoms: int = 16,
    kernel: int = 5,
    sparsity: float = 0.1,
    sparsities: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.5),
    num_training: int = 200,
    num_test: int = 60,
    size: int = 16,
    max_alternations: int = 30,
    seed: int,
) -> Coded:
    """Learn atoms at one sparsity, and code images at several.

    **Arguments:** `data`: digits, half of which are held out, or crops of `size` × `size` pixels of two textures, with crops of
    four other pictures held out; `num_atoms` of `kernel` × `kernel` pixels; `sparsity` λ of the learning, `sparsities` of the
    codes; `num_training` ≥ `num_test` ≥ 6 images; `max_alternations` of learning.

    **Raises:** `InputError` for numbers out of range, too few images, and for pictures where scikit-image is not installed.
    """
    from mcr2_landscape import csc

    num_test = positive_integer("num_test", num_test, minimum=_SHOWN)
    num_training = positive_integer("num_training", num_training, minimum=num_test)
    kernel = positive_integer("kernel", kernel)
    if not sparsities:
        raise InputError("sparsities: found none; pass some, such as (0.05, 0.2)")
    for k, own in enumerate(sparsities):
        positive_real(f"sparsities[{k}]", own)
    random = np.random.default_rng(seed)
    training, test = _images(data, size, num_training, num_test, random)
    # Those that are shown come first.
    test = test[np.argsort(-test.var(axis=(1, 2, 3)), kind="stable")]
    means = test.mean(axis=(1, 2, 3), keepdims=True)
    training = training - training.mean(axis=(1, 2, 3), keepdims=True)
    start = csc.ConvDictionary.random(num_atoms, kernel, padding=kernel // 2, key=random)
    learned = csc.learn_dictionary(
        training,
        num_atoms,
        kernel,
        sparsity=sparsity,
        padding=kernel // 2,
        max_alternations=max_alternations,
        start=start,
    )
    dictionaries = {"learned": (learned.dictionary, test - means), "random": (start, test - means)}
    dictionaries["training"] = (learned.dictionary, training[:num_test])
    columns: dict[str, Any] = {}
    shown, gaps = {}, []
    for name, (dictionary, images) in dictionaries.items():
        found = _coded(dictionary, images, sparsities)
        columns |= {f"{name}_error": found.error, f"{name}_active": found.active, f"{name}_objective": found.objective}
        shown[name] = (found.shown + means[:_SHOWN, 0]).astype(np.float32)
        gaps.append(found.gap)
    del columns["training_objective"]
    weights = np.sum(np.abs(learned.codes), axis=(0, 2, 3))
    order = np.argsort(-weights, kind="stable")
    total = float(weights.sum())
    return Coded(
        **columns,
        worst_gap=max(gaps),
        history=tuple((learned.objective / training.size).tolist()),
        usage=tuple((weights[order] / total if total > 0 else weights[order]).tolist()),
        dead=len(learned.dead),
        atoms=np.asarray(learned.dictionary.atoms)[order, 0],
        random_atoms=np.asarray(start.atoms)[:, 0],
        shown_images=test[:_SHOWN, 0].astype(np.float32),
        shown_learned=shown["learned"],
        shown_random=shown["random"],
    )


def _images(data: str, size: int, count: int, more: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gray images (N, 1, H, W) in [0, 1]: to learn from, and others."""
    from mcr2_landscape.data import digit_images, picture_patches

    if data == "digits":
        images = digit_images().images[random.permutation(1797)]
        half = len(images) // 2
        parts = [images[:half], images[half:]]
    else:
        parts = []
        for names in (_TRAINING, _UNSEEN):
            crops = picture_patches(size, names=names, channels=1).images
            parts.append(crops[random.permutation(len(crops))])
    for name, part, wanted in zip(("num_training", "num_test"), parts, (count, more), strict=True):
        if len(part) < wanted:
            raise InputError(f"{name}: found {wanted}, of {len(part)} images; pass less")
    return parts[0][:count].astype(np.float64), parts[1][:more].astype(np.float64)


class _Codes(NamedTuple):
    """Error, codes a pixel and objective a pixel at each sparsity; the first images as coded (S, 6, H, W); the worst gap."""

    error: tuple[float, ...]
    active: tuple[float, ...]
    objective: tuple[float, ...]
    shown: np.ndarray
    gap: float


def _coded(dictionary: csc.ConvDictionary, images: np.ndarray, sparsities: tuple[float, ...]) -> _Codes:
    """Restarted FISTA for all images at all sparsities together: as `csc.solve` begins, which goes on with fewer and fewer
    images and compiles for each number of them."""
    import jax
    import jax.numpy as jnp

    from mcr2_landscape.csc.iterations import RESTARTED, Runner, State, default_step
    from mcr2_landscape.csc.programs import Problem, measured

    count, repeated = len(sparsities), np.concatenate([images] * len(sparsities))
    problem = Problem.of(dictionary, repeated)
    program = problem.program(np.repeat(sparsities, len(images)), 0.0, False)
    with jax.enable_x64(True):
        runner, state = Runner(problem, program, RESTARTED, default_step(problem)), State.start(jnp.zeros(problem.code_shape))
        gap, rounds, found = np.inf, 0, measured(problem, program, state.codes)
        while gap > _GAP and rounds < _ROUNDS:
            state, rounds = runner.go(state, _STEPS), rounds + 1
            found = measured(problem, program, state.codes)
            gap = float(np.max(found.duality_gap / problem.scale))
        made = np.asarray(dictionary.synthesize(state.codes, images.shape[2:])).reshape(count, *images.shape)
        active = np.count_nonzero(np.asarray(state.codes).reshape(count, -1), axis=1) / images.size
    errors = np.sum((images - made) ** 2, axis=(1, 2, 3, 4)) / np.sum(images**2)
    objectives = found.objective.reshape(count, -1).sum(axis=1) / images.size
    error, used, objective = (tuple(own.tolist()) for own in (errors, active, objectives))
    return _Codes(error, used, objective, made[:, :_SHOWN, 0], gap)
