"""The labeled features that a command line names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcr2_landscape.data import LabeledFeatures


def read_features(name: str, labels: str | None, features_name: str | None, labels_name: str | None) -> LabeledFeatures:
    """The digits, or what a file holds.

    **Raises:** `InputError` for a file that cannot be read, or labels given for the digits.
    """
    from mcr2_landscape.data import digits, load_features
    from mcr2_landscape.validation import InputError

    if name != "digits":
        return load_features(name, labels, features_name, labels_name)
    if labels is not None:
        raise InputError("--labels: the digits have their labels; leave it out, or write ./digits for a file of that name")
    return digits()
