"""`mcr2-landscape csc`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from mcr2_landscape.cli.image_files import Channels
from mcr2_landscape.cli.options import File, check_count, check_seed


def csc(
    data: str,
    /,
    *,
    out: str,
    dictionary: str | None = None,
    images: int | None = None,
    channels: Channels | None = None,
    size: int | None = None,
    test_fraction: float | None = None,
    center: Annotated[bool, Parameter(negative="")] = False,
    atoms: int | None = None,
    kernel: int | None = None,
    stride: int | None = None,
    padding: int | None = None,
    sparsity: float | None = None,
    relative_sparsity: float | None = None,
    ridge: float | None = None,
    nonnegative: Annotated[bool | None, Parameter(negative="")] = None,
    gap: float = 1e-10,
    steps: int | None = None,
    seed: int = 0,
    max_seconds: float | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    json: File = None,
) -> int:
    """Learn a convolutional dictionary of images, or read one, and solve for sparse codes with certificates.

    The objective is λ‖z‖₁ + ½μ‖z‖² + ½‖x − Dz‖². Atoms are learned from some of the images; the others are then solved for,
    each with a duality gap that says how far its code is from the optimum at most. Killed at any moment and begun again with
    --resume, it ends with the same dictionary. The exit status is 0 whatever the verdict, 130 after Ctrl-C.

    Parameters
    ----------
    data
        The word digits, faces, pictures, shapes or mnist, or a file with images (n, H, W), (n, C, H, W) or (n, H, W, C): an
        .npy file, or an .npz file with the array images or a single one. Bytes are divided by 255; all other numbers have to
        be in [0, 1].
    out
        The folder for report.html, csc.json, codes.npz, dictionary.safetensors, and the checkpoint of the learning.
    dictionary
        Use the atoms in this file (dictionary.safetensors of an earlier run, or what csc.save_dictionary wrote) instead of
        learning some; all images are then solved for.
    images
        Take so many images: 250 by default, 50 with --dictionary, or all if there are fewer.
    channels
        Where a file's images of four axes have their channels: by default on the second or the last axis, whichever has at
        most four entries, and on the second where both have, or none.
    size
        Side of the crops of pictures: 16 by default.
    test_fraction
        The share of the images that atoms are not learned from: 0.2 by default.
    center
        Subtract from each image the mean of its pixels, channel by channel.
    atoms
        16 by default.
    kernel
        Side of an atom: 5 by default.
    stride
        Pixels from one place of an atom to the next: 1 by default.
    padding
        Pixels by which atoms may reach beyond the image: half of the kernel by default.
    sparsity
        The weight λ.
    relative_sparsity
        λ as a part of the median of λ_max, from which on the code of an image is zero, with the atoms that learning begins
        with, or those of --dictionary: 0.1 by default, or, with --dictionary, the λ that its atoms were learned at, where its
        file says so.
    ridge
        The weight μ: 0 by default.
    nonnegative
        Codes are zero or more.
    gap
        The duality gap to reach, in units of ½‖x‖².
    steps
        Alternations of codes and atoms: 30 by default.
    seed
        Seed of the first atoms, of the images drawn, and of the split. The same seed gives the same dictionary.
    max_seconds
        Stop the learning after so much time; --resume goes on.
    resume
        Go on with the learning in the folder, or begin if there is none.
    json
        Write everything to this JSON file too; - is standard output.
    """
    from mcr2_landscape.validation import InputError, positive_integer, positive_real, real

    check_seed(seed)
    counts = {"--images": images, "--size": size, "--atoms": atoms, "--kernel": kernel, "--stride": stride, "--steps": steps}
    for option, count in counts.items():
        if count is not None:
            check_count(option, count)
    if padding is not None:
        positive_integer("--padding", padding, minimum=0)
    numbers = {"--sparsity": sparsity, "--relative-sparsity": relative_sparsity, "--max-seconds": max_seconds}
    for option, number in {**numbers, "--gap": gap}.items():
        if number is not None:
            positive_real(option, number)
    if ridge is not None and real("--ridge", ridge) < 0:
        raise InputError(f"--ridge: found {ridge:g}; give zero or more")
    if test_fraction is not None and not 0 < real("--test-fraction", test_fraction) < 1:
        raise InputError(f"--test-fraction: found {test_fraction:g}; give a number between 0 and 1, such as 0.2")
    if sparsity is not None and relative_sparsity is not None:
        raise InputError("--sparsity, --relative-sparsity: both say what λ is; give one of them")
    learning = {
        "--test-fraction": test_fraction,
        "--atoms": atoms,
        "--kernel": kernel,
        "--stride": stride,
        "--padding": padding,
        "--steps": steps,
        "--max-seconds": max_seconds,
        "--resume": resume or None,
    }
    given = [option for option, value in learning.items() if value is not None]
    if dictionary is not None and given:
        raise InputError(f"{', '.join(given)}: nothing is learned with --dictionary; leave it out")
    if size is not None and data != "pictures":
        raise InputError("--size: is of the crops of pictures; leave it out")
    from mcr2_landscape.cli.coding import Wanted, run

    side = kernel or 5
    wanted = Wanted(
        images=images,
        channels=channels,
        size=size or 16,
        test_fraction=0.2 if test_fraction is None else test_fraction,
        center=center,
        atoms=atoms or 16,
        kernel=side,
        stride=stride or 1,
        padding=side // 2 if padding is None else padding,
        sparsity=sparsity,
        relative_sparsity=relative_sparsity,
        ridge=ridge,
        nonnegative=nonnegative,
        gap=gap,
        steps=steps or 30,
        seed=seed,
    )
    return run(data, out, dictionary, wanted, max_seconds=max_seconds, resume=resume, json=json)
