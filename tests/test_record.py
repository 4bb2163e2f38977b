import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.record import Record, to_plain
from mcr2_landscape.verdict import Evidence, Inertia, Kind, Verdict

pytestmark = pytest.mark.smoke


@dataclasses.dataclass(frozen=True)
class Leaf(Record):
    value: object
    hidden: object = dataclasses.field(default=None, metadata={"json": False})
    _derived = ("doubled",)

    @property
    def doubled(self):
        return 2 * self.value if isinstance(self.value, (int, float)) else None


@dataclasses.dataclass(frozen=True)
class Plain:
    leaf: Leaf


numbers = st.floats() | st.integers() | st.booleans() | st.none()
names = st.sampled_from([*Kind, *Verdict, *Evidence]) | st.text()
arrays = st.lists(st.floats(width=32), max_size=4).map(np.asarray) | st.integers(-5, 5).map(np.int32)
results = st.recursive(
    numbers | names | arrays | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner, max_size=3)
        | inner.map(Leaf)
        | inner.map(lambda value: Plain(Leaf(value)))
    ),
    max_leaves=8,
)


@given(results)
def test_every_result_is_strict_json(result):
    text = json.dumps(to_plain(result), allow_nan=False)
    assert json.loads(text) == to_plain(result)


@given(st.floats())
def test_floats_keep_every_bit_and_what_is_not_finite_becomes_null(value):
    plain = json.loads(json.dumps(to_plain(np.float64(value))))
    assert plain == value if math.isfinite(value) else plain is None


def test_hidden_fields_stay_out_and_derived_numbers_come_in():
    assert Leaf(3, hidden=object()).to_dict() == {"value": 3, "doubled": 6}
    assert to_plain(Plain(Leaf(3))) == {"leaf": {"value": 3, "doubled": 6}}


def test_the_vocabulary_is_written_as_words():
    assert to_plain({Kind.STRICT_SADDLE: [Verdict.HOLDS, Evidence.EXACT]}) == {"strict saddle": ["holds", "exact"]}
    assert Inertia(1, 2, 3).to_dict() == {"positive": 1, "zero": 2, "negative": 3, "undecided": 0}
    assert Inertia(1, 2, 3, 4).total == 10


def test_jax_arrays_are_lists():
    jnp = pytest.importorskip("jax.numpy")
    assert to_plain(Leaf(jnp.arange(3))) == {"value": [0, 1, 2], "doubled": None}


def test_what_has_no_plain_form_is_refused():
    with pytest.raises(TypeError, match="object has no plain JSON form"):
        to_plain([object()])
