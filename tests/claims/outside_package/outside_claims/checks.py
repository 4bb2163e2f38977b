"""How the claims are checked: without JAX, so that a worker is quick."""

import os
import signal
import sys
import time
from pathlib import Path

from mcr2_landscape.certify import Certificate, Statement
from mcr2_landscape.claims import Outcome, Part, Plot, Series


def part(verdict="holds", evidence="numerical", **figures):
    return Part("a part", verdict, evidence, "x = 1 was <b>seen</b>.", {"tolerance": 1e-9, "samples": 3} | figures)


def proves(run):
    return Outcome.of(run.certify())  # the runner takes what `run` has made where an outcome names no certificates


def seen(run):
    print("a check that prints")
    line = Series("one", [1.0, 10.0, 100.0], [1.0, float("nan"), 3.0])
    points = Series("two", [1, 2], [2, 1], style="points")
    plot = Plot("A caption", "What is <to> be seen", "x", "y", (line, points), log="xy", diagonal=True)
    return Outcome.of([part(seeds=list(range(40)))], plots=[plot])


def open_question(run):
    return Outcome.of([part("undecided")])


def refuted(run):
    return Outcome.of([part("refuted", "exact")])


def raises(run):
    raise RuntimeError("no luck")


def killed(run):
    os.kill(os.getpid(), signal.SIGKILL)


def exits(run):
    sys.exit(3)


def nonsense(run):
    return True


def uncertified(run):
    return Outcome.of([part(evidence="certified")])


def where(run):
    """Which process, and what it finds there."""
    names = ("NPROC", "OPENBLAS_NUM_THREADS", "JAX_ENABLE_X64")
    figures = {
        "pid": os.getpid(),
        "first": run.shared("first", lambda: run.claim.id),
        "settings": {name: os.environ[name] for name in names},
        "ignores Ctrl-C": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        "heavy": [name for name in ("numpy", "jax") if name in sys.modules],
    }
    return Outcome.of([part(**figures)])


def sleeps(run):
    time.sleep(60)


def slow(run):
    time.sleep(1)
    return where(run)


def gated(run):
    """Waits until somebody opens the gate."""
    gate = Path(os.environ["OUTSIDE_GATE"])
    partial = gate.with_suffix(".part")
    partial.write_text(str(os.getpid()))
    partial.rename(gate.with_suffix(".reached"))
    while not gate.exists():
        time.sleep(0.05)
    return Outcome.of([part()])


def unwritable(run):
    statement = Statement("identity", assertion={"left": {1}, "right": "a", "where": []})
    run.certificates.append(Certificate(statement))
    return Outcome.of([part()])


def no_certificate(run):
    run.certificates.append("proved")
    return Outcome.of([part()])
