"""What holds for the whole suite. Settings go into the environment, so that JAX is loaded only by the tests that need it."""

from __future__ import annotations

import os
import subprocess
import sys

# Before JAX is imported: several batched inverses on two cores can wait for each other for ever (see test_two_cores.py).
os.environ["NPROC"] = "1"
_SETTINGS = {
    "JAX_ENABLE_X64": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "MPLBACKEND": "Agg",
}

# Most of the suite's time is XLA's compiler at work on programs that run once on small arrays, so it is told to hurry. The
# thorough profile, and the programs that look for what hangs, compile as everyone does.
_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE", "ci") == "thorough"
_HURRY = " ".join(
    (
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",
    )
)
# Once, in the process that starts the others; an XLA that lacks one of the flags ends the process, so another tries them.
if not _THOROUGH and "XLA_FLAGS" not in os.environ and "PYTEST_XDIST_WORKER" not in os.environ:
    _tried = {**os.environ, "XLA_FLAGS": _HURRY, "JAX_PLATFORMS": "cpu"}
    if subprocess.run([sys.executable, "-c", "import jax; jax.devices()"], env=_tried, capture_output=True).returncode == 0:
        os.environ["XLA_FLAGS"] = _HURRY
os.environ.update(_SETTINGS)
assert "jax" not in sys.modules, "a pytest plugin imported JAX before the suite's settings were made"

import hypothesis  # noqa: E402
import jaxtyping  # noqa: E402
import pytest  # noqa: E402

# A property's examples are the same in every run here; `thorough` draws new ones and more.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=25)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=300)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Shapes and types in the signatures of traced functions are checked at every call of the suite. Functions that take what a
# user passes are left out: their own messages about wrong types are what the suite tests.
jaxtyping.install_import_hook(["mcr2_landscape.mcr2.kernels", "mcr2_landscape.stacking"], "beartype.beartype")


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_are_dropped():
    yield
    if "jax" in sys.modules:
        import jax

        jax.clear_caches()


@pytest.fixture(scope="session")
def user_environment() -> dict[str, str]:
    """The environment for a subprocess that runs as a user's would: without the suite's settings, but for the compiler's hurry,
    which is a third of the time that guides take."""
    return {name: value for name, value in os.environ.items() if name not in _SETTINGS or name == "MPLBACKEND"}


@pytest.fixture
def outside(tmp_path_factory, monkeypatch):
    """Install one of the packages of tests/*/outside_package, `outside_claims` or `outside_tasks`: a function that takes the
    package's name and entry points, each a name and what it names in the package, and returns the value of PYTHONPATH for other
    processes."""
    installed = []

    def install(package: str, **entries: str) -> str:
        from pathlib import Path

        installed.append(package)
        site = tmp_path_factory.mktemp("site")
        information = site / f"{package}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (information / "top_level.txt").write_text(f"{package}\n")
        group, folder = {"outside_claims": ("claims", "claims"), "outside_tasks": ("tasks", "study")}[package]
        lines = [f"{name} = {package}.{value}" for name, value in entries.items()]
        (information / "entry_points.txt").write_text("\n".join([f"[mcr2_landscape.{group}]", *lines, ""]))
        for place in (site, Path(__file__).parent / folder / "outside_package"):
            monkeypatch.syspath_prepend(str(place))
            monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH", "")])))
        return os.environ["PYTHONPATH"]

    yield install
    for name in [name for name in sys.modules if name.split(".")[0] in installed]:
        del sys.modules[name]
