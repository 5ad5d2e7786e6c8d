#!/usr/bin/python3
"""Every member of the JSON form of the plan is described in creel-plan(8), and nothing else is."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Written from tables: the sets of capabilities, and "where", which the page explains once.
TABLES = {"bounding", "effective", "inheritable", "permitted", "ambient"}


def written(text):
    """The keys that plan_json.c writes."""
    keys = set()
    for arguments in re.findall(r"\b(?:put_|begin_|json_write_key)\w*\(\s*&?[\w>-]+,([^;{]*?)\);", text, re.DOTALL):
        for key in re.findall(r'(?:^|[,?:])\s*"(\w+)"', arguments):
            keys.add(key)
    return keys | TABLES


def described(text):
    """The words of the page's section JSON that are set as literals."""
    section = text.split(".Sh JSON\n")[1].split("\n.Sh ")[0]
    words = set()
    for line in section.splitlines():
        if line.startswith((".It Li ", ".Li ")):
            words.update(re.findall(r"[A-Za-z]+", line.split("Li ", 1)[1]))
    return words


# Values that the page sets as literals.
VALUES = {"mount", "bind", "remount", "link", "copy", "up", "Ns"}


def main():
    keys = written((ROOT / "src/plan/plan_json.c").read_text())
    words = described((ROOT / "man/creel-plan.8").read_text())
    problems = [f"{key}: is written, and not described" for key in sorted(keys - words)]
    problems += [f"{key}: is described, and not written"
                 for key in sorted(words - keys - VALUES)]
    if len(keys) < 80:
        problems.append(f"only {len(keys)} keys were found in plan_json.c")
    print("\n".join(problems) or f"{len(keys)} members: all in the manual")
    return 1 if problems else 0


sys.exit(main())
