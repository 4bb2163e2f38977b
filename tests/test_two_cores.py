"""JAX 0.10 can hang for ever on two cores: independent batched inverses inside one vmapped loop wait for each other.

The library factorizes all classes in one stacked Cholesky, and every program sets `NPROC` before JAX is imported. Both are
checked in a subprocess, which can be killed when it hangs, and programs of which it is known by the count of their
factorizations, which takes no luck to see.
"""

import collections
import os
import subprocess
import sys

import pytest

# With `inverses` and no NPROC, every run of this hung on two cores (JAX 0.10.2). Small changes of the program hide it: a
# stack of the inverses' factors, for instance, did not hang.
SEARCH = """
import jax, jax.numpy as jnp

dim, classes, size, starts = 16, 4, 10, 64

def inverses(grams):
    return [jnp.linalg.inv(gram) for gram in grams]

def stacked_cholesky(grams):
    factors = jnp.linalg.cholesky(jnp.stack(grams))
    half = jax.lax.linalg.triangular_solve(
        factors, jnp.broadcast_to(jnp.eye(dim), factors.shape), left_side=True, lower=True)
    return half.mT @ half

def gradient(z):
    blocks = [z[:, k * size:(k + 1) * size] for k in range(classes)]
    whole, *parts = METHOD([jnp.eye(dim) + z @ z.T, *(jnp.eye(dim) + 3 * block @ block.T for block in blocks)])
    return whole @ z - jnp.concatenate([part @ block for part, block in zip(parts, blocks)], axis=1) - 0.05 * z

def ascend(z):
    keep_going = lambda state: (state[1] < 100) & (jnp.linalg.norm(gradient(state[0])) > 1e-9)
    return jax.lax.while_loop(keep_going, lambda state: (state[0] + 0.3 * gradient(state[0]), state[1] + 1), (z, 0))

search = jax.jit(jax.vmap(ascend))
for seed in range(2):
    search(jax.random.normal(jax.random.key(seed), (starts, dim, classes * size)))[0].block_until_ready()
print("finished")
"""


def as_installed(environment):
    """Without what the suite sets for itself, neither threads nor how programs are compiled."""
    return {name: value for name, value in environment.items() if name not in {"NPROC", "XLA_FLAGS"}}


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    ("method", "threads"), [("stacked_cholesky", None), ("inverses", "1")], ids=["stacked Cholesky", "inverses with NPROC=1"]
)
def test_it_does_not_hang(user_environment, method, threads):
    environment = as_installed(user_environment) | {"JAX_ENABLE_X64": "1"}
    if threads:
        environment["NPROC"] = threads
    result = subprocess.run(
        [sys.executable, "-c", SEARCH.replace("METHOD", method)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "finished\n", result.stderr


def test_the_suite_itself_runs_with_one_thread():
    assert os.environ["NPROC"] == "1"


def test_the_command_sets_it_before_jax_is_imported(user_environment):
    environment = as_installed(user_environment)
    program = """
import builtins, os, sys
real = builtins.__import__
def watched(name, *rest, **named):
    if name == "jax" and "jax" not in sys.modules:
        print("NPROC is", os.environ.get("NPROC"))
    return real(name, *rest, **named)
builtins.__import__ = watched
from mcr2_landscape.cli import main
sys.argv = ["mcr2-landscape", "catalog", "--dim", "3", "--sizes", "2,2,2", "--epsilon", "0.5", "--top", "1"]
try:
    main()
finally:
    import jax
"""
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "NPROC is 1\n" in result.stdout


LIBRARY = """
import mcr2_landscape as ml

problem = ml.MCR2(8, (2, 2, 2), 0.5, 0.1)  # more dimensions than samples: the factorizations are not of one shape
result = ml.find_critical_points(problem, key=0, num_starts=60)
assert result.num_converged > 30
assert ml.ascend(problem, result.distinct[-1].point).reason
print("finished")
"""


@pytest.mark.timeout(90)
def test_search_and_ascent_do_not_hang_without_the_setting(user_environment):
    environment = as_installed(user_environment)
    result = subprocess.run([sys.executable, "-c", LIBRARY], env=environment, capture_output=True, text=True, timeout=80)
    assert result.stdout == "finished\n", result.stderr


def primitives(jaxpr):
    """The names of what a program computes, those of all programs inside it once for each call."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from primitives(inner)


def test_a_step_of_the_game_of_the_classes_factorizes_once():
    """With eight, few of which waited for one another, its training hung without the setting."""
    import equinox as eqx
    import jax
    import numpy as np

    from mcr2_landscape.csc import ConvTranscriber
    from mcr2_landscape.training.transcription import ClosedLoopLoss

    # Traced alone: nothing of it has to be compiled.
    model = eqx.filter_eval_shape(lambda: ConvTranscriber((1, 4, 4), 3, channels=(2,), kernel=3, steps=1, key=0))
    batch = {"inputs": np.ones((6, 1, 4, 4), np.float32), "labels": np.arange(6, dtype=np.int32) % 3}
    loss = ClosedLoopLoss(num_classes=3, epsilon=0.5)
    step = jax.make_jaxpr(jax.grad(lambda own: loss(own, batch)[0]))(model)
    counts = collections.Counter(primitives(step.jaxpr))
    names = ("cholesky", "lu", "qr", "householder_product", "eigh", "eig", "svd", "custom_linear_solve")
    assert {name: counts[name] for name in names if counts[name]} == {"cholesky": 1}
    assert counts["triangular_solve"] <= 2  # of its gradient, the second with what the first one gives
