"""A package of another group, installed as any other: its claim shows up in `verify`."""

import configparser
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "outside_package"


def wheel(folder):
    """The package as a wheel, made without a build system: those have to be fetched first."""
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    information = f"{name}-{version}.dist-info"
    entries = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in found.items()) for group, found in project["entry-points"].items()
    ]
    files = {path.relative_to(SOURCE).as_posix(): path.read_text() for path in SOURCE.rglob("*.py")}
    files |= {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": "\n".join(entries),
    }
    files[f"{information}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{information}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path


@pytest.mark.timeout(90)
def test_an_outside_package_registers_its_claims(tmp_path, user_environment):
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    result = subprocess.run([*install, "--target", str(site), str(wheel(tmp_path))], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (site / "outside_claims-1.0.dist-info" / "INSTALLER").is_file()

    command = [
        sys.executable,
        "-m",
        "mcr2_landscape.cli",
        "verify",
        "outside.square",
        "--json",
        "x.json",
        "--certificates",
        "c",
    ]
    environment = {**user_environment, "PYTHONPATH": str(site)}
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    (claim,) = json.loads((tmp_path / "x.json").read_text())["claims"]
    assert (claim["id"], claim["verdict"], claim["evidence"]) == ("outside.square", "holds", "certified")
    assert (tmp_path / claim["certificates"][0]).is_file()

    del environment["PYTHONPATH"]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2
    assert "no claim matches 'outside.square'" in result.stderr


def test_the_claim_that_the_documentation_shows_is_one(tmp_path, user_environment):
    """Its blocks, put into the files that it names."""
    text = (Path(__file__).parents[2] / "docs" / "claims.md").read_text(encoding="utf-8")
    statements, checks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (entries,) = re.findall(r"```ini\n\[options.entry_points\]\n(.*?)```", text, re.DOTALL)
    parser = configparser.ConfigParser()
    parser.read_string("[options.entry_points]\n" + entries)
    ((group, lines),) = parser["options.entry_points"].items()
    files = {
        "my_paper/__init__.py": "",
        "my_paper/statements.py": statements,
        "my_paper/checks.py": checks,
        "my_paper-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: my-paper\nVersion: 1\n",
        "my_paper-1.dist-info/entry_points.txt": f"[{group}]{lines}\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    command = [sys.executable, "-m", "mcr2_landscape.cli", "verify", "my-paper.maximizer", "--json", "-"]
    environment = {**user_environment, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (claim,) = json.loads(result.stdout)["claims"]
    assert (claim["verdict"], claim["evidence"]) == ("holds", "certified")
