"""The process in which checks run: one claim at a time, and whatever happens to it stays there."""

from __future__ import annotations

import importlib
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcr2_landscape.certify import Certificate
from mcr2_landscape.claims.claim import Claim
from mcr2_landscape.claims.outcome import Outcome
from mcr2_landscape.claims.run import Profile, Run
from mcr2_landscape.verdict import Evidence


@dataclass(frozen=True)
class Reply:
    """What a check came to.

    **Fields:** `outcome`: the plain form of its `Outcome`, or `None` after an error; `certificates`; `seconds`; `error`: the
    traceback, or words, or `None`; `device`: what computed, if JAX did.
    """

    outcome: Mapping[str, Any] | None
    certificates: tuple[Certificate, ...]
    seconds: float
    error: str | None = None
    device: str | None = None


def answering() -> Callable[[bytes], bytes]:
    """What a worker does with messages: check the claim in each. What claims of a group share lives as long as the worker."""
    shared: dict[Any, Any] = {}
    return lambda message: _answer(message, shared)


def perform(claim: Claim, profile: Profile, shared: dict[Any, Any]) -> Reply:
    """Import the check of a claim and call it. Nothing that it raises gets out, except what ends a process."""
    began = time.perf_counter()
    try:
        run = Run(claim, profile, shared)
        outcome = _function(claim.check)(run)
        if not isinstance(outcome, Outcome):
            raise TypeError(f"{claim.check} returned {type(outcome).__name__}; a check returns mcr2_landscape.claims.Outcome")
        plain = outcome.to_dict()
        certificates = tuple(run.certificates)
        for certificate in certificates:
            if not isinstance(certificate, Certificate):
                raise TypeError(f"{claim.check}: certificates hold a {type(certificate).__name__}; expected Certificate")
        if outcome.evidence is Evidence.CERTIFIED and not certificates:
            raise ValueError(f"{claim.check} calls its evidence certified and gives no certificate; Run.certify makes them")
        return Reply(plain, certificates, time.perf_counter() - began, device=_device())
    except Exception:
        return Reply(None, (), time.perf_counter() - began, traceback.format_exc(), _device())


def _answer(message: bytes, shared: dict[Any, Any]) -> bytes:
    began = time.perf_counter()
    try:
        # Inside: a claim may be of a class that only its provider's module can make, which may fail to load here.
        claim, profile = pickle.loads(message)
        return pickle.dumps(perform(claim, profile, shared))
    except Exception:
        return pickle.dumps(Reply(None, (), time.perf_counter() - began, traceback.format_exc()))


def _function(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)


def _device() -> str | None:
    if "jax" not in sys.modules:
        return None
    from mcr2_landscape.provenance import describe_device

    return describe_device()
