import numpy as np
import pytest

from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError


def draws(key):
    return generator(key).random(3).tolist()


def test_the_same_key_gives_the_same_numbers():
    jax = pytest.importorskip("jax")
    assert draws(3) == draws(np.int64(3)) != draws(4)
    assert draws(jax.random.key(3)) == draws(jax.random.PRNGKey(3)) != draws(jax.random.key(4))


def test_a_generator_is_continued_and_not_restarted():
    source = np.random.default_rng(0)
    assert generator(source) is source


@pytest.mark.parametrize("key", [None, True, -1, 1.5, "seed", np.zeros(2), np.zeros((2, 2), np.uint32)])
def test_randomness_is_always_explicit(key):
    with pytest.raises(InputError, match=r"^key: found "):
        generator(key)
