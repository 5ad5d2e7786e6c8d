#!/usr/bin/python3
"""Reads the cgroup of a container as cAdvisor does: found by the engine's id in the tree alone, without asking anybody.

usage: cgroups.py ID PATTERN PID
PATTERN is what the path must match, with ID for the id.  The cgroup has to be there once, PID must be one of those in or below it,
and each file that a controller brings has to be readable there.  Printed is the path.
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path("/sys/fs/cgroup")
FILES = {"memory": ("memory.current", "memory.stat", "memory.max", "memory.events"),
         "cpu": ("cpu.stat", "cpu.max", "cpu.weight"), "pids": ("pids.current", "pids.max"),
         "io": ("io.stat",)}


def processes(group):
    """The pids in GROUP and below."""
    found = set()
    for directory, _, _ in os.walk(group):
        found.update(pathlib.Path(directory, "cgroup.procs").read_text().split())
    return found


def main(identity, pattern, pid):
    """0 when a reader sees the right cgroup at the right path."""
    wanted = re.compile(pattern.replace("ID", re.escape(identity)))
    paths = ["/" + os.path.relpath(directory, ROOT) for directory, _, _ in os.walk(ROOT)]
    # What the engine makes for its own processes has the id in its name, too.
    groups = [path for path in paths if wanted.fullmatch(path)]
    if len(groups) != 1:
        sys.exit(f"{groups} match {wanted.pattern}; with the id there is " +
                 str([path for path in paths if identity in path]))
    group = ROOT / groups[0][1:]
    if pid not in processes(group):
        sys.exit(f"{pid} is not among {processes(group)} of {group}")
    controllers = (group / "cgroup.controllers").read_text().split()
    if os.environ["CREEL_LAB"] == "full" and not {"memory", "cpu", "pids", "io"} <= set(controllers):
        sys.exit(f"{group} has only {controllers}")
    for controller in controllers:
        for name in FILES.get(controller, ()):
            (group / name).read_text()
    if "memory" in controllers and int((group / "memory.current").read_text()) == 0:
        sys.exit(f"nothing is counted in {group}")
    if "populated 1" not in (group / "cgroup.events").read_text():
        sys.exit(f"{group} says that it is empty")
    print(groups[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
