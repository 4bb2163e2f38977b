"""`mcr2-landscape info`."""

from __future__ import annotations

from mcr2_landscape.cli.options import File

# The others are for developers, or show in the list of devices.
_EXTRAS = ("solvers", "data", "study", "cluster")
_SETTINGS = ("NPROC", "OPENBLAS_NUM_THREADS", "JAX_ENABLE_X64", "JAX_PLATFORMS", "XLA_FLAGS")


def info(*, json: File = None) -> int:
    """Show versions, devices, and which optional parts are installed.

    Parameters
    ----------
    json
        Write it to this JSON file; - is standard output.
    """
    import os

    from mcr2_landscape.cli.output import Output

    output = Output(json, None)
    import jax

    from mcr2_landscape.provenance import describe_device, versions
    from mcr2_landscape.report.documents import document
    from mcr2_landscape.report.tables import Table

    extras = {extra: _missing(extra) for extra in _EXTRAS}
    found = {
        "versions": versions(),
        "device": describe_device(),
        "devices": [str(device) for device in jax.devices()],
        "settings": {name: os.environ.get(name) for name in _SETTINGS},
        "extras": {extra: not missing for extra, missing in extras.items()},
        "missing": {extra: missing for extra, missing in extras.items() if missing},
    }
    output.files(document("info", found, configuration={}), None)
    output.table(Table.of("Versions", ("what", "version"), found["versions"].items(), left=(0, 1)))
    devices = [("computes on", found["device"]), ("visible", ", ".join(found["devices"]))]
    output.table(Table.of("Devices", ("what", "device"), devices, left=(0, 1)))
    settings = [(name, value) for name, value in found["settings"].items() if value is not None]
    output.table(Table.of("Settings of this process", ("variable", "value"), settings, left=(0, 1)))
    rows = [
        (extra, f'missing: {", ".join(missing)}; pip install "mcr2_landscape[{extra}]"' if missing else "installed")
        for extra, missing in extras.items()
    ]
    output.table(Table.of("Optional parts", ("extra", "state"), rows, left=(0, 1)))
    return 0


def _missing(extra: str) -> list[str]:
    """The distributions of an extra that are not installed, from the package's own metadata."""
    import importlib.metadata
    import re

    missing = []
    try:
        requirements = importlib.metadata.requires("mcr2-landscape") or []
    except importlib.metadata.PackageNotFoundError:
        return ["unknown: the package runs without having been installed"]
    for requirement in requirements:
        if re.search(rf"extra == ['\"]{extra}['\"]", requirement):
            name = re.split(r"[\s\[<>=!~;(]", requirement, maxsplit=1)[0]
            try:
                importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                missing.append(name)
    return missing
