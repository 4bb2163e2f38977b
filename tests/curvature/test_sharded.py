"""The problem on many devices, against the host oracle: on simulated devices of one process, and in two processes.

JAX reads the number of simulated devices once, when it starts, so that all of it runs in processes of its own.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mcr2_landscape.curvature import scaling
from mcr2_landscape.curvature.device_layout import DeviceLayout
from mcr2_landscape.curvature.scaling import predict
from mcr2_landscape.errors import InputError

HERE = Path(__file__).resolve().parent
STRICT = {"JAX_ENABLE_X64": "1", "JAX_NUMPY_DTYPE_PROMOTION": "strict", "JAX_NUMPY_RANK_PROMOTION": "raise"}
SHAPES: dict[str, tuple[int, tuple[int, ...]]] = {
    "unequal": (6, (13, 7, 1, 2, 30)),
    "fewer samples than dimensions": (11, (5, 3, 1)),
}


def simulated(devices, environment=os.environ):
    flags = f"{environment.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    return {**environment, **STRICT, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}


def layout_of(case, devices):
    dim, sizes = SHAPES[case]
    return DeviceLayout(dim, sizes, devices)


def prediction(case, devices):
    dim, sizes = SHAPES[case]
    return predict(dim, sizes, devices)


def program(part):
    result = subprocess.run(
        [sys.executable, HERE / "sharded_program.py", part], env=simulated(8), capture_output=True, text=True, timeout=36
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def runs():
    return {(run["case"], run["devices"]): run for run in program("runs")}


@pytest.fixture(scope="module")
def checks():
    return program("checks")


# -- the same results on any number of devices -------------------------------------------------------------------------------


def test_results_are_those_of_the_host_oracle(runs):
    assert {devices for case, devices in runs if case == "unequal"} == {1, 2, 4, 8}
    for key, run in runs.items():
        assert max(run["value"], run["gradient"], run["product"]) < 1e-12, (key, run)


def test_columns_without_a_sample_are_zero_in_results_and_what_they_hold_has_no_influence(runs):
    # The points and directions of these runs have sevens there.
    assert all(run["outside"] == 0.0 and run["round trip"] for run in runs.values())


def test_wrong_programs_are_noticed(checks):
    planted = checks["planted"]
    assert planted["a sum over devices left out"] > 1e-2
    assert planted["columns without a sample counted"] > 1e-2
    assert planted["classes counted once a device"] > 1e-2
    assert "replicat" in planted["and in the value"]


def test_the_operator_is_a_symmetric_operator_like_others(checks):
    found = checks["interface"]
    assert max(found["as_matrix"], found["mv"], *found["public"]) < 1e-12
    assert found["outside"] == found["mv of NumPy"] == 0.0
    assert found["float32"] < 1e-5


# -- what the compiled program says of itself --------------------------------------------------------------------------------


def test_the_compiled_program_moves_what_the_model_says(runs):
    for (case, devices), run in runs.items():
        layout = layout_of(case, devices)
        moved = [[c.kind, list(c.shape)] for c in scaling.all_reduce(layout)]
        assert run["collectives"]["product"] == run["collectives"]["gradient"] == moved, (case, devices)
        assert run["collectives"]["value"] == [*moved, ["all-reduce", []]], (case, devices)
        assert prediction(case, devices).collectives == scaling.all_reduce(layout)


def test_it_computes_what_the_model_says(runs):
    for (case, devices), run in runs.items():
        layout = layout_of(case, devices)
        assert run["flops"] == layout.product_flops == prediction(case, devices).flops, (case, devices)
        assert run["form"] == f"fused, sharded over {devices} device" + "s" * (devices > 1)


def test_it_keeps_what_the_model_says(runs):
    for (case, devices), run in runs.items():
        layout = layout_of(case, devices)
        arguments, result, work = run["memory"]
        # Beside the arrays, only epsilon and lambda are arguments.
        assert 0 <= arguments - 8 * (2 * layout.numbers + layout.factor_numbers) <= 16
        assert result == 8 * layout.numbers
        assert work <= 8 * layout.work_numbers <= 2.2 * work, (case, devices)


# -- the layout --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dim", "sizes", "devices"),
    [
        (6, (13, 7, 1, 2, 30), 8),
        (11, (5, 3, 1), 8),
        (300, (100, 100), 8),
        (4, (1,) * 100, 7),
        (4096, (10**5,) * 100, 64),
        (50, (1, 10**6, 1, 77), 5),
        (9, tuple(range(1, 60)), 16),
    ],
)
def test_every_column_lies_in_one_place(dim, sizes, devices):
    layout = DeviceLayout(dim, sizes, devices)
    table = layout.table
    assert table.shape == (devices, layout.blocks, 3)
    filled = table[table[:, :, 2] > 0]
    ends = filled[:, 1] + filled[:, 2]
    assert (filled[0, 1], ends[-1]) == (0, sum(sizes))
    np.testing.assert_array_equal(filled[1:, 1], ends[:-1])
    assert filled[:, 2].max() <= layout.width
    # Every block has one class: that of its slot.
    bounds = np.cumsum(sizes)
    for device in range(devices):
        for slot, start, count in table[device][table[device, :, 2] > 0]:
            label = layout.labels[device, slot]
            assert bounds[label] - sizes[label] <= start < start + count <= bounds[label]
    used = layout.labels[layout.labels >= 0]
    assert sorted(layout.shared) == [k for k in range(len(sizes)) if (used == k).sum() > 1]
    assert len(layout.shared) < devices
    assert layout.is_first.sum() == len(sizes) == np.unique(layout.labels[layout.is_first]).size


def test_work_is_spread_evenly_and_padding_is_small():
    layout = DeviceLayout(4096, (10**5,) * 100, 64)
    work = [sum(p.stop - p.start + 2 * 4096 // 3 for p in parts) for parts in layout.parts]
    assert max(work) < 1.02 * np.mean(work)
    assert layout.devices * layout.blocks * layout.width < 1.03 * 10**7


# -- the model ---------------------------------------------------------------------------------------------------------------


def test_a_ring_moves_each_array_twice():
    # By hand: d = 4, two classes shared by all of two devices: packed 2 × 5 numbers each, once around and back.
    layout = DeviceLayout(4, (100,), 2)
    assert layout.num_places == 1
    (found,) = scaling.all_reduce(DeviceLayout(4, (100, 100, 100), 2))
    assert found.shape == (2, 2, 5)  # the class that the cut divides, and the sum of the others
    assert found.link_bytes == 2 * (2 - 1) / 2 * 8 * 20


def test_ranges_are_the_better_way():
    for classes in (2, 10, 100):
        for devices in (8, 64):
            found = {s: predict(4096, (10**7 // classes,) * classes, devices, scheme=s) for s in scaling.SCHEMES}
            best, spread, divided = (found[s] for s in scaling.SCHEMES)
            assert best.seconds <= 1.001 * min(spread.seconds, divided.seconds)
            assert best.memory <= min(spread.memory, divided.memory)
            assert 0 < best.efficiency <= 1


def test_the_guide_shows_the_predictions_of_the_model():
    guide = (HERE.parent.parent / "docs" / "devices.md").read_text(encoding="utf-8")
    assert scaling.table() in guide


def test_impossible_predictions_are_refused():
    with pytest.raises(InputError, match="devices: found 8 for 7 samples"):
        predict(2, (3, 4), 8)
    with pytest.raises(InputError, match="scheme: found 'best'"):
        predict(2, (3, 4), 2, scheme="best")


# -- bad input ---------------------------------------------------------------------------------------------------------------


def test_bad_input_is_refused_by_name(checks):
    said = checks["refusals"]
    for name, words in {
        "another axis": ["axis: found 'samples'", "'hosts'"],
        "no mesh": ["mesh: found list", "jax.make_mesh"],
        "another problem": ["problem: found ConstrainedMCR2", "regularization"],
        "a narrowed problem": ["problem: found one with points of shape (2, 4) for 18 samples"],
        "too many devices": ["mesh: found 8 devices for 7 samples"],
        "shape": ["Z: found shape (53, 6), expected (6, 53)", "transposed"],
        "matrix for mv": ["D: found a matrix of shape (6, 53)", "place"],
        "dtype": ["Z: found float16"],
        "complex": ["Z: found complex128"],
        "another dtype": ["D: found float32", "float64"],
        "NaN": ["Z: found NaN"],
        "NaN on the devices": ["Z: found NaN or infinity"],
        "text": ["Z: found 'Z'"],
        "memory of place": ["mesh: needs", "on each of 2 devices", "take 5 devices or more"],
        "memory of hessian": ["mesh: needs", "devices or more, float32"],
    }.items():
        assert all(word in said[name] for word in words), said[name]


# -- two processes -----------------------------------------------------------------------------------------------------------


def test_the_example_with_two_processes_agrees_with_one(user_environment, tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "mcr2_landscape.experiments.two_processes"],
        env=user_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=39,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "process 0 of 2: 2 of 4 devices, 23 of 53 samples" in result.stdout
    assert "process 1 of 2: 2 of 4 devices, 30 of 53 samples" in result.stdout
    assert result.stdout.endswith("The two processes and the one agree.\n")


# One process has one device and the other three. What the second cannot take is refused in both: else the first would wait.
REFUSED_TOGETHER = """
import sys
import jax
import numpy as np
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]), initialization_timeout=20)
import mcr2_landscape as ml
from mcr2_landscape.curvature.sharded import ShardedMCR2

sharded = ShardedMCR2(ml.MCR2(4, (9, 5, 1), 0.5, 0.1), jax.make_mesh((4,), ("samples",)))
columns = sharded.local_columns
everything = np.arange(60.0).reshape(4, 15)
own = everything[:, columns]
Z = sharded.place_local(own)
assert (sharded.gather_local(Z) == own).all()
assert (sharded.gather(Z) == everything).all()
assert (sharded.gather_local(sharded.place(everything)) == own).all()
second = jax.process_index() == 1
for bad in (own * (np.nan if second else 1.0), own[:, 1:] if second else own, own.astype(np.float32) if second else own):
    try:
        sharded.place_local(bad)
        print("not refused")
    except ml.InputError as error:
        print(error)
try:
    sharded.value(np.zeros(sharded.shape))
except ml.InputError as error:
    print(error)
print("columns", len(columns))
"""


def test_what_one_process_cannot_take_is_refused_in_both(tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    children, logs = [], [tmp_path / "0", tmp_path / "1"]
    end = time.monotonic() + 35
    try:
        for number, log in enumerate(logs):
            with log.open("w") as out:
                command = [sys.executable, "-c", REFUSED_TOGETHER, address, str(number)]
                environment = simulated(1 + 2 * number)
                children.append(subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT))
        codes = [child.wait(timeout=max(0.1, end - time.monotonic())) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
    first, second = (log.read_text() for log in logs)
    assert codes == [0, 0], first + second
    assert first.count("Z_local: refused in another process") == 2, first
    assert "Z_local: found NaN" in second
    assert "Z_local: found shape" in second
    for said in (first, second):
        assert "Z_local: found float32 in one process and float64 in another" in said
        assert "place it with place_local" in said
        assert "not refused" not in said
    counts = [int(said.split("columns ")[1]) for said in (first, second)]
    assert sum(counts) == 15
    assert min(counts) >= 1
