"""`mcr2-landscape crate`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from mcr2_landscape.cli.options import File, check_count, check_seed


def crate(
    data: str,
    /,
    *,
    out: str,
    network: str | None = None,
    weights: str | None = None,
    dim: int | None = None,
    depth: int | None = None,
    heads: int | None = None,
    patch: int | None = None,
    task: Literal["classification", "completion", "features"] | None = None,
    frozen: Annotated[tuple[Literal["subspaces", "output", "dictionary"], ...], Parameter(negative="")] = (),
    switches: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    images: int | None = None,
    test_fraction: float = 0.2,
    epsilon: float = 0.5,
    steps: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    precision: Literal["float32", "float64", "bfloat16"] | None = None,
    seed: int = 0,
    max_seconds: float | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    json: File = None,
    report: File = None,
) -> int:
    """Train a white-box transformer on images, or read one, and say what each of its layers does.

    The network is trained, if no weights are given, and then measured on test images, beside the same network at random
    initialization. Killed at any moment and begun again with --resume, it ends with the same network. The exit status is 0, 1
    where a number was not finite, 130 after Ctrl-C.

    Parameters
    ----------
    data
        The word digits, mnist, faces or shapes, or a file with images (n, H, W), (n, C, H, W) or (n, H, W, C), bytes or
        numbers in [0, 1]: an .npz file with the array images (or a single array) and, if there are any, labels and masks
        (n, H, W), or an .npy file. Channels are on the second or the last axis, whichever has at most four entries, and on
        the second where both have, or none.
    out
        The folder for network.safetensors, layers.csv, features.npz, crate.json, and of a training history.csv and the
        checkpoint.
    network
        A family: crate (by default), alpha, vit, mae, vit-mae, or derived; or a published name such as CRATE-T/16.
    weights
        Measure the network in this file (network.safetensors of an earlier run, or what whitebox.save wrote) instead of
        training one.
    dim
        Width of the tokens: 48 by default.
    depth
        Layers: 4 by default.
    heads
        Heads: 4 by default.
    patch
        Side of a patch: by default the smallest above 1 with at most 64 patches.
    task
        By default completion for autoencoders, classification for all others; features maximizes the rate reduction of the
        class tokens.
    frozen
        A part that keeps its random values; may be given several times.
    switches
        A field of the architecture as name=value, for example output=tied or output_scale=-1; may be given several times.
    images
        Take so many images.
    test_fraction
        The share of the images that are for the test.
    epsilon
        Coding precision of the rates that are measured, and of the task features.
    steps
        Steps of the optimizer: 400 by default.
    batch
        Images of a step: 128 by default.
    learning_rate
        The highest rate of AdamW: 1e-3 by default.
    precision
        By default float32; bfloat16 computes the network in it, and everything else in float32.
    seed
        Seed of network, order, split and maskings. The same seed gives the same network.
    max_seconds
        Stop the training after so much time; --resume goes on.
    resume
        Go on with the training in the folder, or begin if there is none.
    json
        Write everything to this JSON file too; - is standard output.
    report
        Write an HTML report with pictures to this file.
    """
    check_seed(seed)
    counts = {"--dim": dim, "--depth": depth, "--heads": heads, "--patch": patch, "--images": images, "--steps": steps}
    for option, count in {**counts, "--batch": batch}.items():
        if count is not None:
            check_count(option, count)
    from mcr2_landscape.cli.examination_files import Wanted
    from mcr2_landscape.cli.examining import run
    from mcr2_landscape.validation import InputError, positive_real

    positive_real("--epsilon", epsilon)
    for option, number in (("--learning-rate", learning_rate), ("--max-seconds", max_seconds)):
        if number is not None:
            positive_real(option, number)
    training = {
        "--network": network,
        **{option: value for option, value in counts.items() if option != "--images"},
        "--task": task,
        "--frozen": frozen or None,
        "--set": switches or None,
        "--batch": batch,
        "--learning-rate": learning_rate,
        "--precision": precision,
        "--max-seconds": max_seconds,
        "--resume": resume or None,
    }
    given = [option for option, value in training.items() if value is not None]
    if weights is not None and given:
        raise InputError(f"{', '.join(given)}: nothing is trained with --weights; leave it out")
    wanted = Wanted(
        network=network or "crate",
        sizes={"dim": dim, "depth": depth, "heads": heads, "patch": patch},
        switches=switches,
        task=task,
        training={
            "num_steps": steps or 400,
            "batch_size": batch or 128,
            "learning_rate": learning_rate or 1e-3,
            "precision": precision or "float32",
            "frozen": frozen,
            "epsilon": epsilon,
        },
        test_fraction=test_fraction,
        images=images,
        seed=seed,
    )
    return run(data, out, weights, wanted, max_seconds=max_seconds, resume=resume, json=json, report=report)
