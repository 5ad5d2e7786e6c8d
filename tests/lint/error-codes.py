#!/usr/bin/python3
"""Every error code has a page, whose example has its number, and is given somewhere."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
# The codes of the kinds, which error_code_of() gives to what has none.
KINDS = {"CRL_USAGE", "CRL_CONFIG", "CRL_UNSUPPORTED", "CRL_STATE", "CRL_SYSTEM"}


def main():
    """Prints what is wrong."""
    header = (TOP / "include/creel/error_codes.h").read_text()
    codes = dict(re.findall(r"^\t(CRL_\w+) = (\d{4}),$", header, re.M))
    pages = "".join(path.read_text() for path in (TOP / "src/base").glob("error_pages_*.c"))
    source = "".join(path.read_text() for path in (TOP / "src").glob("*/*.c")
                     if not path.name.startswith("error_pages"))
    problems = []
    if len(codes) < 60:
        problems.append("the enum was not understood")
    for name, number in codes.items():
        page = re.search(rf"\.code = {name},(.*?)\.example =\s*(.*?)\n\t}}", pages, re.S)
        if not page:
            problems.append(f"{name} has no page")
        elif f"[CRL-{number}]" not in re.sub(r'"\s*"', "", page[2]):
            problems.append(f"the example of {name} has not its number")
        if name not in KINDS and not re.search(rf"\b{name}\b", source):
            problems.append(f"{name} is given nowhere")
    for name in set(re.findall(r"\bCRL_[A-Z]\w+\b", source)) - set(codes):
        problems.append(f"{name} is not in the enum")
    print("\n".join(problems) or f"{len(codes)} codes: all have a page and a use")
    sys.exit(1 if problems else 0)


main()
