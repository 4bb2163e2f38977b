import dataclasses
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape
from mcr2_landscape import provenance as module
from mcr2_landscape.provenance import configuration_hash, describe_device, provenance, seed_of, versions
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Inertia, Kind

pytestmark = pytest.mark.smoke

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
configurations = st.dictionaries(
    st.text(), st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
)


@given(configurations)
def test_the_hash_depends_on_content_and_not_on_order_or_form(configuration):
    backwards = dict(reversed(configuration.items()))
    assert configuration_hash(backwards) == configuration_hash(configuration)
    tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in configuration.items()}
    assert configuration_hash(tuples) == configuration_hash(configuration)


@given(configurations, configurations)
def test_different_configurations_have_different_hashes(first, second):
    # Python says True == 1, which a configuration's text does not.
    same = json.dumps(module._canonical(first), sort_keys=True) == json.dumps(module._canonical(second), sort_keys=True)
    assert (configuration_hash(first) == configuration_hash(second)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (0.0, -0.0),
        (2.5, np.float64(2.5)),
        ([1, 2], np.asarray([1, 2])),
        ({3, 1, 2}, [1, 2, 3]),
        (Kind.STRICT_SADDLE, "strict saddle"),
        (Path("a/b"), "a/b"),
        (Inertia(1, 2, 3), {"positive": 1, "zero": 2, "negative": 3, "undecided": 0}),
        (np.arange(5000.0), np.arange(5000.0)[::-1][::-1]),
        (np.arange(5000, dtype=">f8"), np.arange(5000, dtype="<f8")),
    ],
)
def test_two_forms_of_one_content_have_one_hash(one, other):
    assert configuration_hash({"x": one}) == configuration_hash({"x": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, float("nan")),
        (float("inf"), float("nan")),
        (float("inf"), "Infinity"),
        (1, True),
        (0.1, np.float32(0.1)),
        (np.arange(5000.0), np.arange(5000.0) + 1e-12),
        (np.zeros((50, 100)), np.zeros((100, 50))),
    ],
)
def test_two_contents_have_two_hashes(one, other):
    assert configuration_hash({"x": one}) != configuration_hash({"x": other})


def test_the_hash_is_the_same_in_every_release():
    """Stored results are found again by it. This is the SHA-256 of {"dim":3,"epsilon":0.5,"sizes":[2,2,2]}."""
    expected = "2959dbbf9dd3024c1a661463b532287ebff28d2193dcd2a74e2081c1ba382a2a"
    assert configuration_hash({"dim": 3, "sizes": (2, 2, 2), "epsilon": 0.5}) == expected


def test_hidden_fields_do_not_count():
    @dataclasses.dataclass
    class Configuration:
        steps: int
        progress: object = dataclasses.field(default=None, metadata={"json": False})

    assert configuration_hash(Configuration(3, progress=print)) == configuration_hash({"steps": 3})


@pytest.mark.parametrize("part", [object(), print, 1j])
def test_what_cannot_be_written_down_is_refused(part):
    with pytest.raises(InputError, match=r"^configuration: found "):
        configuration_hash({"x": [part]})


def test_names_that_collide_as_text_are_refused():
    with pytest.raises(InputError, match="two names of a mapping are the same text"):
        configuration_hash({1: "a", "1": "b"})


def test_seeds_are_written_down():
    jax = pytest.importorskip("jax")
    assert seed_of(None) is None
    assert seed_of(np.int64(7)) == 7
    assert seed_of(jax.random.key(7)) == seed_of(jax.random.PRNGKey(7)) == (0, 7)
    source = np.random.default_rng(7)
    before = seed_of(source)
    assert before == seed_of(np.random.default_rng(7))
    assert str(before).startswith("PCG64:")
    source.random()
    assert seed_of(source) != before
    with pytest.raises(InputError, match=r"^key: found str"):
        seed_of("seven")


def test_versions_name_what_computes():
    found = versions()
    assert set(found) == {"mcr2_landscape", "python", "jax", "jaxlib", "numpy", "scipy", "platform"}
    assert found["mcr2_landscape"] == mcr2_landscape.__version__
    assert found["numpy"] == np.__version__


def test_the_device_is_described():
    pytest.importorskip("jax")
    assert describe_device().startswith(("cpu (", "gpu (", "tpu ("))
    assert f"{os.cpu_count()} cores" in describe_device() or not describe_device().startswith("cpu")


def test_a_provenance_is_plain_data_and_the_same_for_the_same_work():
    found = provenance({"steps": 3}, key=1, dtype=np.float32, device="somewhere")
    assert found == provenance({"steps": 3.0}, key=1, dtype="float32", device="somewhere")
    assert pickle.loads(pickle.dumps(found)) == found
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["seed"] == 1
    assert plain["dtype"] == "float32"
    assert plain["device"] == "somewhere"
    assert plain["configuration_hash"] == configuration_hash({"steps": 3})


def test_jax_is_not_loaded_for_it(user_environment):
    program = "import sys; from mcr2_landscape.provenance import provenance; provenance({}, key=1); print('jax' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], env=user_environment, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
