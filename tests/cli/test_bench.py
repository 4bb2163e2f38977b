import json

import pytest

from mcr2_landscape.bench import launch
from mcr2_landscape.bench.plan import Plan
from mcr2_landscape.cli import main


@pytest.mark.timeout(120)
def test_it_measures_in_a_pinned_process_and_says_under_what_conditions(tmp_path, capfd):
    path = tmp_path / "bench.json"
    words = ["--sizes", "5:14:2", "--points", "low-rank", "--no-peers", "--rounds", "2", "--seed", "4", "--json", str(path)]
    assert main(["bench", *words]) == 0
    shown = capfd.readouterr().out
    assert "5:14:2 (d = 5, m = 14, K = 2), low-rank" in shown
    assert "limit: its matrix products alone" in shown
    assert "Complete inertia" in shown
    assert "PyHessian" not in shown
    found = json.loads(path.read_text())
    assert found["schema"] == "mcr2_landscape/bench"
    assert found["provenance"]["seed"] == 4
    assert {"jax", "numpy"} <= found["provenance"]["versions"].keys()
    conditions = found["result"]["conditions"]
    assert conditions["date"].endswith("+00:00")
    assert conditions["device"].startswith("cpu")
    assert {"torch", "curvlinops-for-pytorch"} <= conditions["versions"].keys()
    for name, value in launch.SETTINGS.items():
        assert value in conditions["settings"][name]
    (point,) = found["result"]["points"]
    assert {entry["state"] for entry in point["entries"]} == {"timed"}
    assert all(entry["ratio"]["lower"] <= entry["ratio"]["median"] for entry in point["entries"])
    (inertia,) = found["result"]["inertias"]
    assert inertia["right"]
    assert inertia["unknowns"] == 70


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sizes", "huge"], "--sizes: found 'huge'"),
        (["--sizes", "3:4"], "--sizes: found '3:4'"),
        (["--sizes", "4:2:3"], "sizes: found 4:2:3"),
        (["--sizes", ","], "--sizes: found ','"),
        (["--points", "somewhere"], "--points: found 'somewhere'"),
        (["--rounds", "0"], "--rounds"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_a_mistake_is_found_before_anything_is_measured(monkeypatch, capsys, words, says):
    monkeypatch.setattr(launch, "benchmark", lambda *arguments: pytest.fail("measured"))
    assert main(["bench", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_wrong_product_of_ours_is_status_1(monkeypatch, capsys):
    entry = {
        **dict.fromkeys(("reason", "about"), ""),
        **dict.fromkeys(("difference", "milliseconds", "ratio", "caches", "memory", "goal", "kept")),
    }
    point = {
        "size": "tiny",
        "shape": [3, 4, 2],
        "point": "generic",
        "form": "fused",
        "flops": 1,
        "entries": [{**entry, "name": "mcr2_landscape", "state": "wrong"}],
    }
    conditions = {"date": "", "device": "", "core": 0, "load": None, "settings": {}, "versions": {}}
    found = {"points": [point], "inertias": [], "conditions": conditions}
    monkeypatch.setattr(launch, "benchmark", lambda *arguments: found)
    assert main(["bench"]) == 1
    assert "wrong" in capsys.readouterr().out


def test_a_process_that_dies_is_an_error_of_its_own(monkeypatch, capfd):
    monkeypatch.setitem(launch.SETTINGS, "JAX_PLATFORMS", "no-such-platform")
    with pytest.raises(launch.BenchmarkFailed, match="status 1"):
        launch.benchmark(Plan(sizes={"tiny": (3, 6, 2)}, points=("generic",), rounds=1, contestants=()))
    capfd.readouterr()
