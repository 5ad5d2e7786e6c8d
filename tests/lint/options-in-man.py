#!/usr/bin/python3
"""Every option of the program is in the manual, and every option of the manual is in the program.

usage: options-in-man.py CREEL MANDIR

What the program knows is taken from its own usage texts, which are printed from the tables that parse.
"""

import re
import subprocess
import sys
from pathlib import Path


def usage(creel, *command):
    done = subprocess.run([creel, *command, "--help"], capture_output=True, text=True)
    if done.returncode != 0 or done.stderr:
        sys.exit(f"creel {' '.join(command)} --help: status {done.returncode}, {done.stderr}")
    return done.stdout


def program_options(text):
    """{long name: its letters} of the indented lines that begin with a dash."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"  +((?:-\w, )*)--([\w-]+)", line)
        if match:
            found[match[2]] = set(re.findall(r"-(\w)", match[1]))
    return found


def manual_options(page):
    """The same of the lines that describe an option: .It Fl b , Fl -bundle Ar dir"""
    found = {}
    for line in page.splitlines():
        if not line.startswith(".It Fl "):
            continue
        flags = re.findall(r"\bFl (-?[\w-]+)", line)
        names = [flag[1:] for flag in flags if flag.startswith("-")]
        if len(names) != 1:
            sys.exit(f"{line}: one long option belongs into each item")
        found[names[0]] = {flag for flag in flags if not flag.startswith("-")}
    # Every command understands it; the program does not list it with the others.
    if found.pop("help", {"h"}) != {"h"}:
        sys.exit("--help has the letter h")
    return found


def compare(what, program, manual):
    problems = []
    for name in sorted(program.keys() | manual.keys()):
        if name not in manual:
            problems.append(f"{what}: --{name} is not in the manual")
        elif name not in program:
            problems.append(f"{what}: the manual has --{name}, which the program does not know")
        elif program[name] != manual[name]:
            problems.append(f"{what}: --{name} has other letters in the manual")
    return problems


def main():
    creel, man = sys.argv[1], Path(sys.argv[2])
    general = usage(creel)
    section = general.split("Commands:\n")[1].split("\n\n")[0]
    commands = [line.split()[0] for line in section.splitlines()]
    commands.remove("help")
    problems = compare("creel", program_options(general),
                       manual_options((man / "creel.8").read_text()))
    pages = {man / "creel.8"}
    options = 0
    for command in commands:
        page = man / f"creel-{command}.8"
        pages.add(page)
        if not page.exists():
            problems.append(f"{command} has no page {page.name}")
            continue
        program = program_options(usage(creel, command))
        options += len(program)
        problems += compare(command, program, manual_options(page.read_text()))
    for page in sorted(set(man.glob("*.8")) - pages):
        problems.append(f"{page.name} describes no command")
    if len(commands) < 10 or options < 50:
        problems.append("the usage texts were not understood: too few commands or options")
    print("\n".join(problems) or f"{len(commands)} commands, {options} options: all in the manual")
    sys.exit(1 if problems else 0)


main()
