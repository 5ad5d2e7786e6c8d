#!/usr/bin/python3
"""creel-config(5) describes every member of config.json as the tables of src/oci read it.

usage: config-in-man.py CREEL

For each member: its type, its range, whether it is required, the names of an enum, and what is refused.  What the program prints
of itself (`features`) is compared too: mount options and the annotations that change something.
"""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

KINDS = {
    "F_BOOL": "boolean", "F_OPTIONAL_BOOL": "boolean", "F_INT": "number", "F_UINT": "number",
    "F_STRING": "string", "F_ENUM": "name", "F_STRINGS": "list of strings",
    "F_ENUMS": "list of names", "F_UINTS": "list of numbers", "F_OBJECT": "object",
    "F_LIST": "list of objects", "F_STRING_MAP": "map of strings",
    "F_OBJECT_MAP": "map of objects", "F_ANY": "object",
}
INNER = ("F_OBJECT", "F_LIST", "F_OBJECT_MAP", "F_ANY")
# Of <stdint.h> and <errno.h>; None is no limit that anybody meets.
LIMITS = {"UINT16_MAX": 2**16 - 1, "UINT32_MAX": 2**32 - 1, "INT32_MAX": 2**31 - 1,
          "UINT64_MAX": None, "INT64_MAX": None, "INT64_MIN": None}


def load_tables():
    """The tables, read by the lint that compares them with the specification."""
    spec = importlib.util.spec_from_file_location("schema", HERE / "schema.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Tables(ROOT / "src/oci"), module.NESTED


def read_number(text, defines):
    """The value of an argument of a row: a number, or the name of one; as it is written."""
    if text in LIMITS:
        return LIMITS[text]
    if text in defines:
        return read_number(defines[text], defines)
    if match := re.fullmatch(r"\(UINT32_MAX - (\d)\)", text):
        return 2**32 - 1 - int(match[1])
    if match := re.fullmatch(r"\(\(1 << (\d+)\) - 1\)", text):
        return 2 ** int(match[1]) - 1
    return text if re.fullmatch(r"0\d+", text) else int(text, 0)


def describe(kind, arguments, defines):
    """What stands in the parentheses of an entry."""
    words = [KINDS[kind]]
    if kind == "F_INT":
        least, most = (read_number(text, defines) for text in arguments[4:6])
        if most is not None:
            words.append(f"{least} to {most}")
        elif least is not None:
            words.append(f"from {least}")
    elif kind in ("F_UINT", "F_UINTS"):
        most = read_number(arguments[4], defines)
        if most is not None:
            words.append(f"0 to {most}")
    if "FIELD_REQUIRED" in arguments[3]:
        words.append("required")
    return ", ".join(words)


def walk(tables, nested, schema, at, defines, found):
    """Collects {pointer: (kind, description, names)}."""
    for kind, arguments in tables.rows[tables.schemas[schema]]:
        where = f"{at}/{json.loads(arguments[2])}"
        names = tables.names[arguments[-1]] if kind in ("F_ENUM", "F_ENUMS") else set()
        found[where] = kind, describe(kind, arguments, defines), names
        if kind in nested:
            where += "" if kind == "F_OBJECT" else "/*"
            walk(tables, nested, arguments[-1].lstrip("&"), where, defines, found)


def entries(page):
    """{pointer pattern: (description, text)} of the page's items."""
    found = {}
    for item in re.split(r"^\.It ", page, flags=re.M)[1:]:
        head, _, text = item.partition("\n")
        text = re.split(r"^\.(?:El|Sh)\b", text, flags=re.M)[0]
        match = re.fullmatch(r"Li (/.*) Pq (.*)", head)
        for pattern in match[1].split(" , ") if match else []:
            if pattern in found:
                sys.exit(f"{pattern} is described twice")
            found[pattern] = match[2], text
    return found


def matches(pattern, pointer):
    """Whether an entry is about a member; * stands for any one part."""
    ours, theirs = pattern.split("/"), pointer.split("/")
    return len(ours) == len(theirs) and all(a in ("*", b) for a, b in zip(ours, theirs))


def check_member(pointer, member, page, used):
    """What is wrong with the description of a member."""
    kind, description, names = member
    about = [pattern for pattern in page if matches(pattern, pointer)]
    if not about:
        return [f"{pointer} is not described"]
    # An entry of its own counts more than one for several.
    best = min(about, key=lambda pattern: pattern.count("*"))
    used.update(about)
    said, text = page[best]
    problems = []
    if said != description:
        problems.append(f"{pointer} is said to be ({said}), the table says ({description})")
    problems += [f"{pointer}: the name {name} is not listed" for name in sorted(names)
                 if not re.search(rf"^\.Li {re.escape(name)}\b", text, re.M)]
    if kind not in INNER:
        if ".Em Errors :" not in text:
            problems.append(f"{pointer}: its errors are not described")
        if ".Em Kernel :" not in text and not re.search(r"[Ii]gnored", text):
            problems.append(f"{pointer}: what makes it true is not described")
    return problems


def check_features(creel, page):
    """Mount options and annotations, which the program lists itself."""
    done = subprocess.run([creel, "features"], capture_output=True, text=True, check=True)
    features = json.loads(done.stdout)
    words = set(re.findall(r"[\w.-]+", " ".join(re.findall(r"^\.It Li (.*)$", page, re.M))))
    problems = [f"the mount option {option} is not described"
                for option in features["mountOptions"] if option not in words]
    problems += [f"the annotation {name} is not described"
                 for name in features["potentiallyUnsafeConfigAnnotations"] if name not in words]
    return problems


def main():
    page = (ROOT / "man/creel-config.5").read_text()
    sources = "".join(path.read_text() for path in sorted((ROOT / "src/oci").glob("*.c")))
    defines = dict(re.findall(r"^#define (\w+)[ \t]+(\S.*?)(?:[ \t]*/\*.*)?$", sources, re.M))
    tables, nested = load_tables()
    members, used = {}, set()
    walk(tables, nested, "oci_config_schema", "", defines, members)
    described = entries(page)
    problems = []
    for pointer, member in members.items():
        problems += check_member(pointer, member, described, used)
    problems += [f"{pattern} is described, and is no member" for pattern in described.keys() - used]
    codes = set(re.findall(r"= (\d{4}),", (ROOT / "include/creel/error_codes.h").read_text()))
    problems += [f"CRL-{code} is no code" for code in
                 sorted(set(re.findall(r"CRL-(\d+)", page)) - codes)]
    problems += check_features(sys.argv[1], page)
    if len(members) < 200 or len(codes) < 50:
        problems.append("the tables were not understood: too few members or codes")
    print("\n".join(problems) or f"{len(members)} members: all in the manual")
    return 1 if problems else 0


sys.exit(main())
