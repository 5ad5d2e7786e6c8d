#!/usr/bin/python3
"""docs/architecture.md has the steps of create.c, init.c and exec.c, all of them, in their order."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
TABLES = {"step of P": ("src/container/create.c", "create_steps"),
          "step of I": ("src/container/init.c", "init_steps"),
          "step of exec's P": ("src/container/exec.c", "outer_steps"),
          "step of exec's process": ("src/container/exec.c", "inner_steps")}


def steps_of(name, table):
    """The names in a table of the program."""
    body = re.search(rf"\b{table}\[\] = \{{(.*?)\n\}};", (TOP / name).read_text(), re.S)
    return re.findall(r'\{ "([^"]+)",', body[1]) if body else []


def rows_of(text, heading):
    """The first column of the table with that heading."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.M)
    return [line.split("|")[1].strip() for line in table[1].splitlines()] if table else []


def main():
    """0 when they are the same."""
    text = (TOP / "docs/architecture.md").read_text()
    wrong = 0
    for heading, (name, table) in TABLES.items():
        steps, rows = steps_of(name, table), rows_of(text, heading)
        if not steps or steps != rows:
            wrong = 1
            print(f"{name} and docs/architecture.md differ:")
            print("".join(f"  {'code' if step in steps else 'page'} only: {step}\n"
                          for step in steps + rows if (step in steps) != (step in rows))
                  or f"  the order is not the same:\n  {steps}\n  {rows}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
