#!/usr/bin/python3
"""The pages of the manual are clean for mandoc, are installed, and refer to pages that exist.

Without mandoc the first of these is left out, and said to be.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

MAN = Path(__file__).resolve().parents[2] / "man"

# Printed during the build.
MADE = {"creel-errors.7"}
SECTIONS = {"8": ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "SEE ALSO"],
            "5": ["NAME", "DESCRIPTION", "EXAMPLES", "SEE ALSO"]}


def check_page(page, names):
    """What is wrong with one page."""
    text = page.read_text()
    sections = re.findall(r"^\.Sh (.*)$", text, re.M)
    wanted = SECTIONS[page.suffix[1:]]
    problems = [f"has no section {name}" for name in wanted if name not in sections]
    order = [name for name in sections if name in wanted]
    if order != [name for name in wanted if name in order]:
        problems.append(f"has its sections in the order {', '.join(order)}")
    for name, section in re.findall(r"^\.Xr (creel[\w-]*) (\d)", text, re.M):
        if f"{name}.{section}" not in names:
            problems.append(f"refers to {name}({section}), which does not exist")
        if f"{name}.{section}" == page.name:
            problems.append("refers to itself")
    return [f"{page.name} {problem}" for problem in problems]


def main():
    pages = sorted(MAN.glob("*.[1-9]"))
    names = {page.name for page in pages} | MADE
    problems = []
    for page in pages:
        problems += check_page(page, names)
    overview = (MAN / "creel.8").read_text().split(".Sh SEE ALSO\n")[1]
    listed = {f"{name}.{section}" for name, section in
              re.findall(r"^\.Xr (creel-[\w-]+) (\d)", overview, re.M)}
    problems += [f"creel.8 does not refer to {name}"
                 for name in sorted(names - listed - {"creel.8"})]
    installed = set(re.findall(r"'(creel[\w-]*\.\d)',", (MAN / "meson.build").read_text()))
    problems += [f"{name} is not installed" for name in sorted(names - installed)]
    if len(pages) < 20:
        problems.append(f"only {len(pages)} pages were found")
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", *pages], capture_output=True,
                              text=True, check=False)
        problems += (done.stdout + done.stderr).splitlines()
    else:
        print("mandoc is not here, and was not asked")
    print("\n".join(problems) or f"{len(pages)} pages")
    return 1 if problems else 0


sys.exit(main())
