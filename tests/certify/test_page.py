"""docs/certificates.md: its examples run as they stand, and what it lists is what there is."""

import re
import subprocess
import sys
from pathlib import Path

from mcr2_landscape.certify import KINDS, read
from mcr2_landscape.certify.certificate import SCHEMA, SCHEMA_VERSION
from mcr2_landscape.certify.critical import LARGEST, PRECISIONS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "certificates.md").read_text(encoding="utf-8")


def test_the_examples_run(tmp_path):
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    assert "it is a local maximizer" in ran.stdout
    assert "neither a local maximizer nor a strict saddle" in ran.stdout
    assert read(tmp_path / "maximizer.json").statement.kind == "local maximizer"


def test_every_kind_is_listed():
    section = PAGE.split("## What each kind proves")[1].split("\n\n**")[0]
    listed = re.findall(r"^\| `([a-z ]+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(KINDS)


def test_the_numbers_are_those_of_the_checker():
    assert f'`"{SCHEMA}"`, `{SCHEMA_VERSION}`' in PAGE
    assert f"at most {LARGEST} unknowns" in PAGE
    assert "{} bits; where a ball is too wide to decide, {}, {} and {}".format(*PRECISIONS) in PAGE
