import ast
import configparser
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mcr2_landscape

pytestmark = pytest.mark.smoke

PACKAGE = Path(mcr2_landscape.__file__).parent
ROOT = Path(__file__).resolve().parent.parent


def run(program, environment, **where):
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, **where)


def test_importing_the_package_loads_nothing_heavy(user_environment, tmp_path):
    program = """
import sys
before = set(sys.modules)
import mcr2_landscape
dir(mcr2_landscape), mcr2_landscape.__version__
heavy = {"jax", "numpy", "scipy", "equinox", "matplotlib", "importlib.metadata"}
print(len(set(sys.modules) - before), *(heavy & set(sys.modules)))
"""
    count, *heavy = run(program, user_environment, cwd=tmp_path).stdout.split()
    assert heavy == []
    assert int(count) < 20


@pytest.mark.parametrize("name", sorted(mcr2_landscape._HOMES))
def test_every_public_name_is_where_the_table_says(name):
    home = importlib.import_module(f"mcr2_landscape.{mcr2_landscape._HOMES[name]}")
    assert getattr(mcr2_landscape, name) is getattr(home, name)
    assert getattr(mcr2_landscape, name).__doc__
    assert name in dir(mcr2_landscape)


def test_the_stub_says_what_the_table_says():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    stub = {alias.asname: (node.module, alias.name) for node in imports for alias in node.names}
    assert stub == {name: (f"mcr2_landscape.{home}", name) for name, home in mcr2_landscape._HOMES.items()}
    assert sorted(mcr2_landscape.__all__) == sorted([*stub, "__version__"])


def test_no_module_carries_a_public_name():
    """Importing such a module would put it in the function's place."""
    modules = {module.name for module in pkgutil.iter_modules(mcr2_landscape.__path__)}
    assert modules.isdisjoint(mcr2_landscape._HOMES)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mcr2_landscape' has no attribute 'no_such_name'"):
        mcr2_landscape.no_such_name  # noqa: B018


def test_the_package_is_typed_and_its_version_is_the_installed_one():
    assert (PACKAGE / "py.typed").is_file()
    assert importlib.metadata.version("mcr2-landscape") == mcr2_landscape.__version__
    assert f"version: {mcr2_landscape.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.parametrize("start", ["elsewhere", "checkout"])
def test_mapped_packages_are_found_from_anywhere(user_environment, tmp_path, start):
    program = "import mcr2_landscape.experiments as e, mcr2_landscape.figures as f, paper_checks; print(e.__name__, f.__name__)"
    result = run(program, user_environment, cwd=tmp_path if start == "elsewhere" else ROOT)
    assert result.stdout == "mcr2_landscape.experiments mcr2_landscape.figures\n"


def test_every_package_of_the_checkout_is_built_into_the_wheel():
    configuration = configparser.ConfigParser()
    configuration.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(configuration["options"]["packages"].split())
    found = {
        ".".join((prefix + str(file.parent.relative_to(ROOT))).split("/"))
        for top, prefix in [
            *(("mcr2_landscape", ""), ("paper_checks", "")),
            *(("experiments", "mcr2_landscape/"), ("figures", "mcr2_landscape/")),
        ]
        for file in (ROOT / top).rglob("__init__.py")
    }
    assert listed == found, "setup.cfg [options] packages and the folders with an __init__.py differ"
