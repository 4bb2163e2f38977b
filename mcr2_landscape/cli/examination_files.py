"""What `mcr2-landscape crate` reads and writes beside images: the files in its folder."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcr2_landscape.cli.output import Output
    from mcr2_landscape.cli.training import Folder
    from mcr2_landscape.data import LabeledImages
    from mcr2_landscape.training import ImageExamination, ImageTraining

RESULTS = ("network.safetensors", "history.csv", "layers.csv", "features.npz", "crate.json")


@dataclass(frozen=True)
class Wanted:
    """What the options ask for: the network, its training (arguments of `train_images`), and the images."""

    network: str
    sizes: dict[str, int | None]
    switches: tuple[str, ...]
    task: str | None
    training: dict[str, Any]
    test_fraction: float
    images: int | None
    seed: int


@dataclass(frozen=True)
class Begun:
    """Images that are split, and where everything goes."""

    data: str
    train: LabeledImages
    test: LabeledImages
    notes: tuple[str, ...]
    folder: Folder
    output: Output


def preparation(weights: str, model: Any, train: LabeledImages, task: str) -> tuple[Any, Any, tuple[str, ...], str]:
    """What images are centered and scaled by: as the run that wrote the weights did, if it is known, else as these images
    ask for; and the task."""
    import numpy as np

    from mcr2_landscape.record import to_plain

    told = ("Unless seed, --images and --test-fraction are those of the training, it may have seen these test images.",)
    with_it = Path(weights).parent / "crate.json"
    try:
        plain = json.loads(with_it.read_text(encoding="utf-8"))
        kept = plain["result"]
        if plain["schema"] == "mcr2_landscape/crate" and kept["architecture"] == to_plain(model.architecture):
            center, spread = (np.array(kept[name], dtype=np.float64) for name in ("center", "spread"))
            if center.shape == spread.shape == (model.architecture.channels,) and (spread > 0).all():
                return center, spread, told, str(kept["task"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none, or of something else
    pixels = train.images.astype(np.float64)
    center, spread = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
    told += (
        f"There is no {with_it.name} of this network beside {weights}: images were centered and scaled by their own moments.",
    )
    return center, np.where(spread > 0, spread, 1.0), told, task


def write_network(result: ImageTraining, begun: Begun) -> None:
    """`network.safetensors` and `history.csv`."""
    from mcr2_landscape.cli.training import history_table
    from mcr2_landscape.files import remove_leftovers, write_text
    from mcr2_landscape.whitebox import save

    for name in RESULTS:
        remove_leftovers(begun.folder.path, name)
    save(result.model, begun.folder.path / "network.safetensors")
    write_text(begun.folder.path / "history.csv", history_table(result.training), "--out")


def write_training(result: ImageTraining, begun: Begun, wanted: Wanted) -> None:
    """What there is of a training that is not measured."""
    from mcr2_landscape.files import write_json
    from mcr2_landscape.report.documents import document

    write_network(result, begun)
    shown = {"architecture": result.architecture, "training": result, "center": result.center, "spread": result.spread}
    plain = document(
        "crate", {**shown, "task": result.task}, configuration=_configuration(begun, wanted, None), key=wanted.seed
    )
    write_json(begun.folder.path / "crate.json", plain, "--out")


def write_measures(found: ImageExamination, begun: Begun, wanted: Wanted, weights: str | None) -> dict[str, Any]:
    """`layers.csv`, `features.npz` and `crate.json`, whose content is returned."""
    import numpy as np

    from mcr2_landscape.files import write_bytes, write_json, write_text
    from mcr2_landscape.report.documents import document

    folder = begun.folder.path
    write_text(folder / "layers.csv", layer_table(found), "--out")
    content = io.BytesIO()
    arrays: dict[str, Any] = {"features": found.class_tokens}
    if found.labels is not None:
        arrays["labels"] = found.labels
    if found.task == "features":
        arrays["epsilon"] = np.asarray(wanted.training["epsilon"])  # what `analyze` takes from it
    np.savez(content, **arrays)
    write_bytes(folder / "features.npz", content.getvalue(), "--out")
    plain = document("crate", found, configuration=_configuration(begun, wanted, weights), key=wanted.seed)
    write_json(folder / "crate.json", plain, "--out")
    return plain


def _configuration(begun: Begun, wanted: Wanted, weights: str | None) -> dict[str, Any]:
    from mcr2_landscape.provenance import configuration_hash

    arrays = {f"{part}_{name}": getattr(data, name) for part, data in (("train", begun.train), ("test", begun.test))
              for name in ("images", "labels", "masks")}  # fmt: skip
    asked = {"network": wanted.network, "sizes": wanted.sizes, "switches": wanted.switches, **wanted.training}
    return {
        "data": configuration_hash(arrays),
        "source": begun.train.source,
        "test_fraction": wanted.test_fraction,
        "weights": weights,
        **(asked if weights is None else {"epsilon": wanted.training["epsilon"]}),
    }


def layer_table(found: ImageExamination) -> str:
    """`layers.csv`: one row a state, metric and layer; nothing where a network has no such number."""
    from mcr2_landscape.training.image_layers import LayerRow

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(LayerRow)]
    writer.writerow(names)
    for row in found.layers:
        values = [getattr(row, name) for name in names]
        writer.writerow(["" if isinstance(value, float) and math.isnan(value) else value for value in values])
    return text.getvalue()
