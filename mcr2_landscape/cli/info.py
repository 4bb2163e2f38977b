"""`mcr2-landscape info`."""

from __future__ import annotations

# A library that each extra brings; what the extra is for.
_EXTRAS = {
    "solvers": ("optimistix", "diffrax", "optax"),
    "data": ("safetensors", "pyarrow", "sklearn"),
    "study": ("pyarrow", "duckdb"),
    "cluster": ("dask", "distributed"),
}


def info(*, json: str | None = None) -> int:
    """Show versions, devices, and which optional parts are installed.

    Parameters
    ----------
    json
        Write it to this JSON file; - is standard output.
    """
    import importlib.util
    import os

    from mcr2_landscape.cli.output import Output

    output = Output(json, None)
    import jax

    from mcr2_landscape.provenance import describe_device, versions
    from mcr2_landscape.report.files import document
    from mcr2_landscape.report.tables import Table

    def missing(names: tuple[str, ...]) -> list[str]:
        return [name for name in names if importlib.util.find_spec(name) is None]

    extras = {extra: missing(names) for extra, names in _EXTRAS.items()}
    found = {
        "versions": versions(),
        "device": describe_device(),
        "devices": [str(device) for device in jax.devices()],
        "settings": {name: os.environ.get(name) for name in ("NPROC", "JAX_ENABLE_X64", "JAX_PLATFORMS", "XLA_FLAGS")},
        "extras": {extra: not absent for extra, absent in extras.items()},
        "missing": {extra: absent for extra, absent in extras.items() if absent},
    }
    output.table(Table.of("Versions", ("what", "version"), found["versions"].items(), left=(0, 1)))
    output.table(Table.of("Devices", ("number", "device"), enumerate([found["device"], *found["devices"]]), left=(0, 1)))
    settings = [(name, value) for name, value in found["settings"].items() if value is not None]
    output.table(Table.of("Settings of this process", ("variable", "value"), settings, left=(0, 1)))
    rows = [
        (extra, f'missing: {", ".join(absent)}; pip install "mcr2_landscape[{extra}]"' if absent else "installed")
        for extra, absent in extras.items()
    ]
    output.table(Table.of("Optional parts", ("extra", "state"), rows, left=(0, 1)))
    output.files(document("info", found, configuration={}), lambda: NotImplemented)
    return 0
