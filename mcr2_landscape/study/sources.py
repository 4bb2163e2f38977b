"""What a task's result depends on: the text of its module, and of all modules of its package and of this one that it imports.

Found by reading, not by importing: imports inside functions count, and nothing heavy is loaded. What a module loads by a name
that is only known when it runs (an entry point, a lazy attribute) is not seen.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

_OWN = "mcr2_landscape"


@functools.cache
def source_digest(module: str) -> str:
    """A digest of the text of a module and of what it imports, directly or not, of its package and of this one. Twelve
    hexadecimal digits; of the name alone where there is no text."""
    roots = {top: root for top in {_OWN, module.partition(".")[0]} if (root := _root(top)) is not None}
    texts: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in texts or (path := _file(name, roots)) is None:
            continue
        texts[name] = path.read_bytes()
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += _imported(texts[name], package)
    digest = hashlib.sha256(module.encode())
    for name in sorted(texts):
        digest.update(name.encode() + b"\0" + texts[name] + b"\0")
    return digest.hexdigest()[:12]


def _root(top: str) -> Path | None:
    """The folder of a package, or the file of a lone module."""
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return None if spec.origin is None else Path(spec.origin)


def _file(name: str, roots: dict[str, Path]) -> Path | None:
    top, *rest = name.split(".")
    if top not in roots:
        return None
    path = roots[top].joinpath(*rest)
    return next((file for file in (path, path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imported(text: bytes, package: str) -> Iterator[str]:
    """The modules that a text imports. A name that is imported from a package may be a module of it: both are named. The
    packages around an imported module run too, and are left out: they only gather what they offer, and would bring in all of
    it."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):  # importing it will say so
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
