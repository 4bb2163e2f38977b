"""What test_sharded.py runs in a process with eight simulated devices: it prints what it finds as JSON.

Run as `python sharded_program.py runs` or `checks`, with JAX_ENABLE_X64 and XLA_FLAGS in the environment: both have to be there
before JAX is.
"""

import json
import re
import sys

import jax
import numpy as np

import mcr2_landscape as ml
from mcr2_landscape import closed_form
from mcr2_landscape.curvature import on_device, placement, sharded
from mcr2_landscape.curvature.device_layout import DeviceLayout
from mcr2_landscape.curvature.sharded import ShardedMCR2

# Unequal classes, sizes that no number of devices divides, a class of one sample and one of two, d > m_k; then d > m.
PROBLEMS = {"unequal": (6, (13, 7, 1, 2, 30)), "fewer samples than dimensions": (11, (5, 3, 1))}
RUNS = [("unequal", 1), ("unequal", 2), ("unequal", 4), ("unequal", 8), ("fewer samples than dimensions", 8)]


def mesh_of(devices):
    return jax.make_mesh((devices,), ("samples",), devices=jax.devices()[:devices])


def collectives(compiled):
    """Kind and operand shape of every operation between devices in a compiled program."""
    kinds = "all-reduce|reduce-scatter|all-gather|all-to-all|collective-permute|collective-broadcast"
    found = []
    for line in compiled.as_text().splitlines():
        made = re.match(rf"\s*(?:ROOT )?%?[\w.-]+ = (.*?) ({kinds})(?:-start)?\(", line)
        if made:
            shapes = re.findall(r"[a-z]\d+\[([\d,]*)\]", made[1])
            found += [[made[2], [int(n) for n in shape.split(",") if n]] for shape in shapes]
    return found


def dot_flops(jaxpr, times=1):
    """Multiplications and additions in the matrix products of a traced program, loops as often as they run. XLA's own count
    takes the body of a loop once."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), (batch, _) = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            assert not batch
            total += times * 2 * int(np.prod([left[i] for i in contracted])) * int(np.prod(equation.outvars[0].aval.shape))
        assert equation.primitive.name != "while", "loops with a number of steps that the jaxpr does not say"
        inner = times * equation.params["length"] if equation.primitive.name == "scan" else times
        for value in equation.params.values():
            inside = getattr(value, "jaxpr", value)
            if hasattr(inside, "eqns"):
                total += dot_flops(inside, inner)
    return total


def relative(found, expected, scale=None):
    return float(np.linalg.norm(found - expected) / (np.linalg.norm(expected) if scale is None else scale))


class Case:
    def __init__(self, name):
        dim, sizes = PROBLEMS[name]
        self.problem = ml.MCR2(dim, sizes, 0.5, 0.1)
        random = np.random.default_rng(0)
        self.Z, self.D = random.standard_normal((2, dim, sum(sizes)))
        parameters = self.problem.parameters
        self.value = closed_form.value(parameters, self.Z)
        self.gradient, self.scale = closed_form.gradient_and_scale(parameters, self.Z)
        self.hessian = closed_form.hessian_matrix(parameters, self.Z)
        self.product = (self.hessian @ self.D.ravel()).reshape(self.D.shape)

    def sharded(self, devices):
        return ShardedMCR2(self.problem, mesh_of(devices))

    def placed(self, on, matrix):
        """A matrix on the devices, with numbers where no sample is: they must have no influence."""
        return on.place(matrix) + 7.0 * (1 - on.place(np.ones_like(matrix)))

    def run(self, devices):
        on = self.sharded(devices)
        Z, D = self.placed(on, self.Z), self.placed(on, self.D)
        H = on.hessian(Z)
        product = jax.jit(lambda H, D: H.product(D)).lower(H, D).compile()
        value = sharded._value.lower(on, Z).compile()
        gradient = sharded._gradient.lower(on, Z).compile()
        image = product(H, D)
        outside = image * (1 - on.place(np.ones_like(self.D)))
        memory = product.memory_analysis()
        assert memory is not None
        return {
            "value": abs(float(value(on, Z)) / self.value - 1),
            "gradient": relative(on.gather(gradient(on, Z)), self.gradient, self.scale),
            "product": relative(on.gather(image), self.product),
            "outside": float(np.abs(np.asarray(outside)).max()),
            "round trip": bool((on.gather(Z) == self.Z).all() and (on.gather_local(Z) == self.Z).all()),
            "form": H.form,
            "collectives": {"product": collectives(product), "value": collectives(value), "gradient": collectives(gradient)},
            "flops": dot_flops(jax.make_jaxpr(lambda H, D: H.product(D))(H, D).jaxpr),
            "memory": [memory.argument_size_in_bytes, memory.output_size_in_bytes, memory.temp_size_in_bytes],
        }


def planted(case):
    """How far off results are where the program is wrong: each must be found."""
    on = case.sharded(8)
    Z, D = case.placed(on, case.Z), case.placed(on, case.D)
    H = on.hessian(Z)

    def product():
        return relative(on.gather(jax.jit(lambda H, D: H.product(D))(H, D)), case.product)

    found = {}
    right = on_device._sum_over_devices
    on_device._sum_over_devices = lambda at, array: array
    found["a sum over devices left out"] = product()
    jax.clear_caches()
    try:
        on.value(Z)
        found["and in the value"] = "not noticed"
    except ValueError as error:  # JAX sees that the result would differ between devices
        found["and in the value"] = str(error)
    on_device._sum_over_devices = right
    right = on_device._filled
    on_device._filled = lambda at, block, count: block
    found["columns without a sample counted"] = product()
    on_device._filled = right
    layout = DeviceLayout(on.dim, on.sizes, on.num_devices)
    object.__setattr__(on, "placement", placement.Placement(on.mesh, on.axis, layout))
    on.layout.__dict__["is_first"] = on.layout.labels >= 0
    found["classes counted once a device"] = abs(float(on.value(Z)) / case.value - 1)
    jax.clear_caches()
    return found


def interface(case):
    """The operator's other methods, on two devices, where a solver calls them."""
    on = case.sharded(2)
    H = on.hessian(on.place(case.Z))
    dense = np.asarray(H.as_matrix())
    numbers = on.gather(on.place(np.arange(1.0, case.Z.size + 1).reshape(case.Z.shape))).ravel().astype(int) - 1
    assert (numbers == np.arange(case.Z.size)).all()
    at = np.asarray(on.place(np.arange(1.0, case.Z.size + 1).reshape(case.Z.shape))).ravel().astype(int)
    inside = np.flatnonzero(at)
    own = np.zeros_like(case.hessian)
    own[np.ix_(at[inside] - 1, at[inside] - 1)] = dense[np.ix_(inside, inside)]
    host = np.zeros(on.shape)
    return {
        "as_matrix": relative(own, case.hessian),
        "outside": float(np.abs(np.delete(dense, inside, axis=0)).max(initial=0)),
        "mv": relative(on.gather(H.mv(on.place(case.D))), case.product),
        "mv of NumPy": float(np.abs(np.asarray(H.mv(host))).max()),
        "public": [
            abs(float(on.value(on.place(case.Z))) / case.value - 1),
            relative(on.gather(on.gradient(on.place(case.Z))), case.gradient, case.scale),
        ],
        "float32": relative(on.gather(on.gradient(on.place(case.Z.astype(np.float32)))), case.gradient, case.scale),
    }


def refusals(case):
    """The messages for bad input."""
    on = case.sharded(2)
    Z = on.place(case.Z)
    H = on.hessian(Z)
    bad = case.Z.copy()
    bad[2, 5] = np.nan
    calls = {
        "another axis": lambda: ShardedMCR2(case.problem, jax.make_mesh((2,), ("hosts",))),
        "no mesh": lambda: ShardedMCR2(case.problem, list(jax.devices())),  # pyright: ignore[reportArgumentType]
        "another problem": lambda: ShardedMCR2(ml.ConstrainedMCR2(4, (3, 3), 0.5), mesh_of(2)),
        "a narrowed problem": lambda: ShardedMCR2(ml.MCR2(2, (9, 9), 0.5, 0.1).narrowed(), mesh_of(2)),
        "too many devices": lambda: ShardedMCR2(ml.MCR2(2, (3, 4), 0.5, 0.1), mesh_of(8)),
        "shape": lambda: on.place(case.Z.T),
        "matrix for mv": lambda: H.mv(case.D),
        "dtype": lambda: on.place(case.Z.astype(np.float16)),
        "complex": lambda: on.place(case.Z + 1j),
        "another dtype": lambda: H.mv(on.place(case.D.astype(np.float32))),
        "NaN": lambda: on.place(bad),
        "NaN on the devices": lambda: on.value(Z * np.nan),
        "text": lambda: on.place("Z"),
    }
    said = {}
    for name, call in calls.items():
        try:
            call()
            said[name] = "not refused"
        except ml.InputError as error:
            said[name] = str(error)
    free = placement._free
    placement._free = lambda device, sharing: 1000.0
    for name, call in (("place", lambda: on.place(case.Z)), ("hessian", lambda: on.hessian(Z))):
        try:
            call()
            said[f"memory of {name}"] = "not refused"
        except ml.InputError as error:
            said[f"memory of {name}"] = str(error)
    placement._free = free
    return said


if __name__ == "__main__":
    cases = {name: Case(name) for name in PROBLEMS}
    if sys.argv[1] == "runs":
        found = [{"case": name, "devices": devices} | cases[name].run(devices) for name, devices in RUNS]
    else:
        one = cases["unequal"]
        found = {"planted": planted(one), "interface": interface(one), "refusals": refusals(one)}
    print(json.dumps(found))
