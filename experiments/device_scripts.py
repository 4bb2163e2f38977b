"""What scripts for a CUDA device have in common: their conditions, their files, and what they say where there is none."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from mcr2_landscape.files import check_writable, write_json, write_text
from mcr2_landscape.provenance import describe_device, versions

from .gpu import driver

NOTHING = "no GPU: nothing measured"


def conditions(*, dry: bool) -> dict[str, Any]:
    """Date, device, driver and versions, and whether what follows is a measurement."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": describe_device(),
        "driver": driver(),
        "versions": versions(),
        "dry_run": dry,
        "measured": jax.default_backend() == "gpu" and not dry,
    }


def heading(title: str, found: dict[str, Any]) -> list[str]:
    """The first lines in Markdown: the title, and the `conditions` that `found` has."""
    head = [f"# {title}" + (" (dry run: the figures mean nothing)" if found["dry_run"] else ""), ""]
    head += [f"- {name}: {found[name]}" for name in ("date", "device", "driver")]
    head.append("- versions: " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    if not found["measured"]:
        head.append(f"- {NOTHING if jax.default_backend() != 'gpu' else 'a dry run: nothing measured'}")
    return head


def run_on_device(
    name: str,
    description: str,
    arguments: list[str] | None,
    *,
    measure: Callable[[bool, Callable[[str], None]], dict[str, Any]],
    markdown: Callable[[dict[str, Any]], str],
    right: Callable[[dict[str, Any]], bool],
    double: bool = False,
) -> int:
    """The main function of such a script: measure, write NAME.json and NAME.md, and return the exit status: 1 if a result is
    wrong, 2 without a CUDA device.

    **Arguments:** `name`, of the module; `measure`, from whether it is a dry run and a function that says what is at work to
    plain data; `markdown`, these for people; `double`: whether JAX's 64-bit mode has to be on.
    """
    parser = argparse.ArgumentParser(prog=f"python -m mcr2_landscape.experiments.{name}", description=description)
    parser.add_argument("--out", required=True, help=f"the folder for {name}.json and {name}.md")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, on whatever device there is")
    options = parser.parse_args(arguments)
    if jax.default_backend() != "gpu":
        if not options.dry_run:
            print(
                f"error: {NOTHING}; JAX computes on {jax.default_backend()} here; this needs a CUDA device and JAX for it: "
                'pip install "mcr2_landscape[cuda]" (or --dry-run, to see that it runs)',
                file=sys.stderr,
            )
            return 2
        print(f"{NOTHING}; tiny sizes, to see that it runs", file=sys.stderr)
    if double and not jax.config.read("jax_enable_x64"):
        print("error: JAX's 64-bit mode is off; set JAX_ENABLE_X64=1", file=sys.stderr)
        return 2
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}{ending}" for ending in (".json", ".md")]
    for file in files:
        check_writable(file)
    found = measure(options.dry_run, lambda words: print(words, file=sys.stderr, flush=True))
    write_json(files[0], found)
    write_text(files[1], markdown(found))
    print(f"wrote {files[0]} and {files[1]}")
    return 0 if right(found) else 1
