#!/usr/bin/python3
"""Holds the #include lines against the rooms: a room may include the headers of rooms below it, of itself, and nothing else.

The plan may include kernel's types: it does not link the kernel room, so a call would not link.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]

ROOMS = ("base", "json", "oci", "kernel", "plan", "container", "cli")
BELOW = {
    "base": (),
    "json": ("base",),
    "oci": ("json", "base"),
    "kernel": ("base",),
    "plan": ("oci", "json", "kernel", "base"),
    "container": ("plan", "kernel", "oci", "json", "base"),
    "cli": ("container", "plan", "kernel", "oci", "json", "base"),
}
# Headers that are not named after a file of their room.
HOMES = {
    "compiler": "base", "schema": "json", "verbs": "container", "steps": "container",
    "plan": "plan", "cli": "cli", "options": "cli",
}
# System headers that belong to one file.
ONE_PLACE = {"yajl": ("json",), "seccomp.h": ("plan", "cli"), "systemd": ("kernel",)}
LINES_MAX = 600

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


def home_of(header):
    """The room that a header of include/creel belongs to: that of the .c file with its name."""
    if header in HOMES:
        return HOMES[header]
    for room in ROOMS:
        if (TOP / "src" / room / f"{header}.c").exists():
            return room
    for room in ROOMS:
        if any((TOP / "src" / room).glob(f"{header}_*.c")):
            return room
    return None


def check_file(path, room, problems):
    """Reports each include of PATH that points up or sideways."""
    for name in INCLUDE.findall(path.read_text()):
        if name.startswith("creel/"):
            header = name[len("creel/"):-len(".h")]
            home = home_of(header)
            if home is None:
                problems.append(f"{path.relative_to(TOP)}: no room has {name}")
            elif home != room and home not in BELOW[room]:
                problems.append(f"{path.relative_to(TOP)}: {room} may not include {name} of {home}")
        for library, rooms in ONE_PLACE.items():
            if (name == library or name.startswith(library + "/")) and room not in rooms:
                problems.append(f"{path.relative_to(TOP)}: only {', '.join(rooms)} may include {name}")


def main():
    """0 when the house stands as it is drawn."""
    problems = []
    for room in ROOMS:
        for path in sorted((TOP / "src" / room).glob("*.[ch]")):
            check_file(path, room, problems)
            lines = path.read_text().count("\n")
            if lines > LINES_MAX:
                problems.append(f"{path.relative_to(TOP)}: {lines} lines; are there two jobs in it?")
            if path.name != "syscalls.h" and re.search(r"^\s*#\s*if", path.read_text(), re.M):
                problems.append(f"{path.relative_to(TOP)}: #if belongs into syscalls.h")
    for path in sorted((TOP / "include" / "creel").glob("*.h")):
        home = home_of(path.stem)
        if home is None:
            problems.append(f"{path.relative_to(TOP)}: a header without a room")
        else:
            check_file(path, home, problems)
        if "#pragma once" not in path.read_text():
            problems.append(f"{path.relative_to(TOP)}: no #pragma once")
    names = [path.name for path in (TOP / "src").glob("*/*.c")]
    problems += [f"{name}: two files have this name" for name in sorted(set(names))
                 if names.count(name) > 1]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
