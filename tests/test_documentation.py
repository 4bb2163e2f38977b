"""What the documentation shows is run: README's blocks, Python in the guides, and the examples of every docstring.

It runs as a reader would run it: in a process of its own, in an empty folder, with none of the suite's settings.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
GUIDES = (
    "csc.md",
    "ctrl.md",
    "curvature.md",
    "devices.md",
    "figures.md",
    "flatnet.md",
    "markov.md",
    "studies.md",
    "training.md",
    "whitebox.md",
)
# Before a block that needs a network, a GPU or the reader's own files: <!-- not run: the reason -->
NOT_RUN = "<!-- not run"


def run_as_reader(command, folder, environment):
    result = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


class Block(NamedTuple):
    language: str
    line: int  # of its first line of code
    code: str


def blocks(text):
    found = []
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        fence = re.fullmatch(r"```(\w+)", lines[position])
        if fence:
            end = lines.index("```", position)
            before = next((line for line in reversed(lines[:position]) if line.strip()), "")
            if not before.startswith(NOT_RUN):
                found.append(Block(fence[1], position + 2, "\n".join(lines[position + 1 : end])))
            position = end
        position += 1
    return found


def commands(found):
    """The mcr2-landscape commands of console blocks, with or without a prompt; what they print is left out."""
    joined = (
        (block, block.code.replace("\\\n", " ")) for block in found if block.language in {"console", "sh", "bash", "shell"}
    )
    return [
        (block.line, words[1:])
        for block, code in joined
        for line in code.split("\n")
        if (words := shlex.split(line.removeprefix("$ "), comments=True))[:1] == ["mcr2-landscape"]
    ]


RUN_BLOCKS = """
import sys
namespace = {"__name__": "__main__"}
text = open(sys.argv[1], encoding="utf-8").read()
for line in map(int, sys.argv[2:]):
    code = "\\n".join(text.split("\\n")[line - 1:]).split("\\n```")[0]
    exec(compile("\\n" * (line - 1) + code, sys.argv[1], "exec"), namespace)
"""
RUN_COMMAND = "import sys; from mcr2_landscape.cli import main; sys.argv[0] = 'mcr2-landscape'; sys.exit(main())"
SHOWN = blocks(README.read_text(encoding="utf-8"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("path", [README, *(README.parent / "docs" / name for name in GUIDES)], ids=lambda path: path.name)
def test_the_python_blocks_run_one_after_the_other(path, tmp_path, user_environment):
    lines = [str(block.line) for block in blocks(path.read_text(encoding="utf-8")) if block.language == "python"]
    assert lines
    run_as_reader([sys.executable, "-c", RUN_BLOCKS, str(path), *lines], tmp_path, user_environment)


def test_the_study_that_the_guide_shows_is_one():
    from mcr2_landscape.study import Study
    from mcr2_landscape.study.description import parse_description

    shown = [
        block.code
        for block in blocks((README.parent / "docs" / "studies.md").read_text(encoding="utf-8"))
        if block.language == "toml"
    ]
    assert shown
    for code in shown:
        for size in ("quick", "full"):
            assert len(Study.of(parse_description(code, "docs/studies.md", size)))


def by_section(text):
    """README's commands under each heading that has some: what one writes, others of its section read."""
    headings = [(number, line[3:]) for number, line in enumerate(text.split("\n"), 1) if line.startswith("## ")]
    found = {}
    for line, words in commands(blocks(text)):
        section = next((name for number, name in reversed(headings) if number < line), "Beginning")
        found.setdefault(section, []).append((line, words))
    return found


SECTIONS = by_section(README.read_text(encoding="utf-8"))
# The one that reads what another has written.
SECTIONS["Beginning"] += SECTIONS.pop("What is checked")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("section", SECTIONS)
def test_the_commands_of_readme_run(section, tmp_path, user_environment):
    for line, words in SECTIONS[section]:
        if words[0] == "verify" and "--recheck" not in words:
            words = [*words, "--profile", "quick"]  # `make verify` runs the standard one
        print(f"README.md, line {line}: mcr2-landscape {shlex.join(words)}")
        run_as_reader([sys.executable, "-c", RUN_COMMAND, *words], tmp_path, user_environment)


def test_every_command_of_readme_is_in_a_section():
    assert sum(map(len, SECTIONS.values())) == len(commands(SHOWN)) > 10


RUN_EXAMPLES = """
import doctest, importlib, pkgutil, sys
import mcr2_landscape, paper_checks
import mcr2_landscape.experiments, mcr2_landscape.figures

failed = attempted = 0
tops = [mcr2_landscape, mcr2_landscape.experiments, mcr2_landscape.figures, paper_checks]
names = [top.__name__ for top in tops]
names += [module.name for top in tops for module in pkgutil.walk_packages(top.__path__, top.__name__ + ".")]
for name in dict.fromkeys(names):
    if not name.endswith("__main__"):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != "torch":  # a benchmark's opponent, which the suite does without
                raise
            continue
        outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        failed, attempted = failed + outcome.failed, attempted + outcome.attempted
print(f"{attempted} examples in {len(names)} modules, {failed} wrong")
sys.exit(failed > 0)
"""


@pytest.mark.timeout(180)
def test_the_examples_of_docstrings_are_right(tmp_path, user_environment):
    run_as_reader([sys.executable, "-c", RUN_EXAMPLES], tmp_path, user_environment)


def test_blocks_and_commands_are_found():
    text = "a\n\n```python\nx = 1\n```\n<!-- not run: large -->\n\n```console\n$ mcr2-landscape info\n```\n"
    assert blocks(text) == [Block("python", 4, "x = 1")]
    shown = blocks(
        "```console\n$ mcr2-landscape catalog --dim 3 \\\n    --top 5   # five\nmcr2 prints this\n$ pip install x\n```\n"
    )
    assert commands(shown) == [(2, ["catalog", "--dim", "3", "--top", "5"])]
