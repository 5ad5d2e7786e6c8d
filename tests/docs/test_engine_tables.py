"""docs/engines.md says of every case of tests/engines how it went with creel and with the usual runtime, and names no case that is not there."""

import pathlib
import re
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
ENGINES = TOP / "tests" / "engines"
PAGE = (TOP / "docs" / "engines.md").read_text()
LABS = {
    "fast": ("buildah", "containerd", "containerd2", "docker", "podman"),
    "full": ("buildah", "containerd", "containerd2", "docker", "podman", "rootless"),
}

sys.path.insert(0, str(ENGINES))
import engines  # noqa: E402 pylint: disable=wrong-import-position


def table(engine, lab):
    """The rows of one table of results: [(case, creel, control)]."""
    found = re.search(rf"^### {engine} \({lab} laboratory\)\n.*?^\|---.*?\n(.*?)\n\n", PAGE, re.M | re.S)
    assert found, f"no table of {engine} in the {lab} laboratory"
    return [tuple(cell.strip().replace("&#124;", "|") for cell in row.strip("|").split("|"))
            for row in found[1].splitlines()]


TABLES = [(engine, lab) for lab, names in LABS.items() for engine in names]


@pytest.mark.parametrize("engine, lab", TABLES)
def test_every_case_is_in_the_table(engine, lab):
    script = (ENGINES / f"{engine}.sh").read_text()
    cases = engines.cases_of(engine, script, lab, chosen=lab == "full")
    rows = [row[0] for row in table(engine, lab)]
    missing = {name for name, _ in cases} - set(rows)
    assert not missing
    every = {name for name, _ in engines.cases_of(engine, script, lab, chosen=False)}
    assert not set(rows) - every


@pytest.mark.parametrize("engine, lab", TABLES)
def test_creel_passes_what_the_usual_runtime_passes(engine, lab):
    for case, creel, control in table(engine, lab):
        assert control in ("passes", "fails"), case
        assert creel == "passes" or control == "fails", case


def names_of_cases():
    """All cases of all engines, without the laboratory."""
    return {match[1] for path in ENGINES.glob("*.cases") for line in path.read_text().splitlines()
            if (match := engines.HEADER.match(line))}


def rows_between(first, last):
    """The cells of the tables between two headings."""
    part = PAGE.split(f"\n## {first}\n")[1].split(f"\n### {last}\n")[0]
    return [row.strip("|").split("|")[-1].strip() for row in part.splitlines()
            if row.startswith("|") and not row.startswith("|---")]


def test_item_by_item_names_cases_that_exist():
    cases = names_of_cases()
    for cell in rows_between("What is tested, item by item", "What engines parse"):
        for name in re.split(r"; ", re.sub(r" \((full|buildx|CRI)\)", "", cell)):
            if "`" in name or name in ("case", "as Docker's") or not name:
                continue
            name = name.removeprefix("rootless: ")
            assert name in cases


def test_what_engines_parse_names_tests_that_exist():
    part = PAGE.split("\n### What engines parse\n")[1].split("\n### ")[0]
    written = "".join(path.read_text() for path in (TOP / "tests" / "system").glob("test_*.py"))
    names = re.findall(r"\btest_\w+\b(?!\.)", part)
    assert len(names) > 10
    for name in names:
        assert f"def {name}(" in written, name
