"""Manners of the command line: help with examples, data alone on stdout, JSON beside every table, no
pager, documented exit codes."""

import re
import shlex

import pytest
from harness import TOP


def commands(creel):
    """The names of all commands."""
    text = creel.ok("--help", root=False).out
    names = re.findall(r"^  (\w+) ", text.split("Commands:\n")[1].split("\n\n")[0], re.M)
    return [name for name in names if name != "help"]


def usage(creel, *words):
    """The usage text of a command."""
    return creel.ok(*words, "--help", root=False).out


def options(text):
    """The options in a usage text, long and short."""
    found = {"--help"}
    for line in text.splitlines():
        match = re.match(r"  +((?:-\w, )*)--([\w-]+)", line)
        if match:
            found |= {f"--{match[2]}", *re.findall(r"-\w", match[1])}
    return found


def test_every_command_has_examples_that_are_true(creel):
    known = set(commands(creel))
    general = options(usage(creel))
    for name in known:
        text = usage(creel, name)
        lines = text.split("\nExample:\n")[1].split("\n\n")[0].splitlines()
        assert any(f"creel {name}" in line or line.startswith(f"  creel {name}") for line in lines)
        for line in lines:
            for part in re.findall(r"creel [^|<>;()]*", line):
                words = shlex.split(part)[1:]
                while words[0].startswith("-"):
                    assert words[0] in general, line
                    words = words[2:]
                assert words[0] in known, line
                allowed = options(usage(creel, words[0]))
                own = [word for word in words[1:] if re.match("-.", word)]
                if words[0] in ("exec", "ps"):
                    end = next(i for i, word in enumerate(words[1:], 1) if word == "web")
                    own = [word for word in words[1:end] if re.match("-.", word)]
                assert set(own) <= allowed, line


def test_json_wherever_there_is_a_table(creel):
    tables = []
    for name in commands(creel):
        for words in re.findall(r"^  .*--format ([\w|]+)  ", usage(creel, name), re.M):
            assert "json" in words.split("|"), name
            tables.append(name)
    assert {"list", "ps", "stats", "features", "plan"} <= set(tables)


def test_tables_begin_with_their_heads(creel):
    with creel.running():
        for words, head in ((["list"], "ID"), (["stats"], "ID"), (["features", "-f", "table"],
                                                                  "FEATURE")):
            text = creel.ok(*words).out
            assert text.split()[0] == head
            assert not re.search(r" $", text, re.M), "blanks at the end of a line"


def test_the_table_of_features_has_all_that_json_has(creel):
    data = creel.ok("features", root=False).json()
    table = creel.ok("features", "--format", "table", root=False).out.split()
    words = []

    def walk(value):
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, (dict, list)):
                walk(item)
            elif isinstance(item, str):
                words.append(item)

    walk(data)
    assert len(words) > 100
    assert not set(words) - set(table)


def test_features_is_json_for_engines(creel):
    assert creel.ok("features", root=False).out == creel.ok("features", "-f", "json",
                                                            root=False).out


@pytest.mark.parametrize("words", [
    ["state", "none"], ["list", "--format", "yaml"], ["nosuch"], ["start"], ["plan", "-b", "/none"],
    ["stats", "none"], ["run", "--bundle", "/none", "x"], ["--log-format", "x", "list"],
    ["ps", "none"], ["kill", "none", "NOSUCH"]])
def test_errors_are_not_data(creel, words):
    result = creel.run(*words)
    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith("creel: ")


def test_no_pager(creel):
    mark = creel.directory / "paged"
    pager = creel.directory / "pager"
    pager.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    pager.chmod(0o755)
    for words in (["--help"], ["plan", "--help"], ["features"], ["list"]):
        creel.ok(*words, env={"PAGER": str(pager)})
    assert not mark.exists()


def test_exit_codes_are_documented():
    for page in sorted((TOP / "man").glob("*.8")):
        section = page.read_text().partition("\n.Sh EXIT STATUS\n")[2].partition("\n.Sh ")[0]
        assert re.search(r"\b0\b", section) and re.search(r"\b1\b|\b255\b", section), page.name


def test_list_in_json_and_table_say_the_same(creel):
    with creel.running() as name:
        (state,) = creel.ok("list", "--format", "json").json()
        head, row = creel.ok("list").out.splitlines()
        assert re.split(r" {3,}", head) == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
        assert re.split(r" {3,}", row) == [name, str(state["pid"]), state["status"],
                                           state["bundle"], state["created"], state["owner"]]
