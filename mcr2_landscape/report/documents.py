"""The JSON document that every command writes."""

from __future__ import annotations

from typing import Any

from mcr2_landscape.record import to_plain

SCHEMA_VERSION = 1


def document(kind: str, result: Any, *, configuration: Any, key: Any = None) -> dict[str, Any]:
    """The JSON document of a result: what it is, where it comes from, and its plain form.

    **Arguments:** `kind`: "analysis", "catalog", "survey" or "info". `configuration`: what the result was computed from.
    `key`: the source of randomness, if any.
    """
    # Here, not above: it loads NumPy, which pages and tables do without.
    from mcr2_landscape.provenance import provenance

    return {
        "schema": f"mcr2_landscape/{kind}",
        "schema_version": SCHEMA_VERSION,
        "provenance": to_plain(provenance(configuration, key=key)),
        "configuration": to_plain(configuration),
        "result": to_plain(result),
    }
