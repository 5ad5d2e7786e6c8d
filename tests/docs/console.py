#!/usr/bin/python3
"""Runs the commands that a document shows, and compares what they print with what the document says.

    tests/docs/console.py [--update] CREEL FILE

In a block that begins with ```console, a line that begins with "$ " is a command ("> " continues it) and the lines below it are what it
prints.  "[...]" alone in a line stands for any lines, "..." within a line for any text.  All commands of a document run in one shell, in
a new directory, with CREEL as `creel`.  <!-- run: COMMAND --> runs a command that the reader does not see, and <!-- user: NAME -->
runs the shell as that user.  With --update the document gets what the commands have printed, where that is something else; what is
different each time is for the author to replace, but for the new directory.
"""

import argparse
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

TIMEOUT = 60
HIDDEN = re.compile(r"<!-- run: (.*) -->")
USER = re.compile(r"<!-- user: (\w+) -->")


@dataclass
class Command:
    """One command, where it stands, and what should follow."""
    text: str
    line: int
    hidden: bool = False
    begin: int = 0          # the lines of the output, as indices
    end: int = 0
    expected: list = field(default_factory=list)


def parse(lines):
    """The commands of a document."""
    commands, inside = [], False
    for at, line in enumerate(lines):
        hidden = HIDDEN.fullmatch(line)
        if hidden:
            commands.append(Command(hidden[1], at + 1, hidden=True))
        elif line.startswith("```"):
            inside = line == "```console"
        elif not inside:
            continue
        elif line.startswith("$ "):
            commands.append(Command(line[2:], at + 1, begin=at + 1, end=at + 1))
        elif line.startswith("> ") and not commands[-1].expected:
            commands[-1].text += "\n" + line[2:]
            commands[-1].begin = commands[-1].end = at + 1
        else:
            commands[-1].expected.append(line)
            commands[-1].end = at + 1
    return commands


def matches(expected, printed):
    """Whether the lines of a document stand for what was printed."""
    pattern = ""
    for line in expected:
        if line == "[...]":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split("...")) + "\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


class Shell:
    """One bash for a document, in a new directory."""

    def __init__(self, creel, user):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="creel-docs-"))
        # Users, and ids of user namespaces, come by.
        self.directory.chmod(0o755)
        programs = self.directory / ".bin"
        programs.mkdir()
        shutil.copy(creel, programs / "creel")
        env = {"PATH": f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "HOME": str(self.directory), "LANG": "C.UTF-8", "TERM": "dumb"}
        ids = {}
        if user:
            entry = pwd.getpwnam(user)
            runtime = self.directory / ".run"
            runtime.mkdir(mode=0o700)
            for path in (self.directory, runtime):
                os.chown(path, entry.pw_uid, entry.pw_gid)
            ids = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            env.update(XDG_RUNTIME_DIR=str(runtime), USER=user, LOGNAME=user)
        self.process = subprocess.Popen(["bash", "--norc", "--noprofile"], cwd=self.directory, env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, **ids)

    def run(self, text):
        """(what a command prints, as lines; its exit status)"""
        mark = "end-of-command"
        self.process.stdin.write(f"{{\n{text}\n}} </dev/null\nprintf '\\n{mark} %d\\n' $?\n")
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            if line.startswith(f"{mark} "):
                break
            printed.append(line.rstrip())
        else:
            raise EOFError(text)
        while printed and not printed[-1]:
            printed.pop()
        return printed, int(line.split()[1])

    def end(self):
        """Ends the shell and removes the directory."""
        self.process.stdin.close()
        self.process.wait(TIMEOUT)
        shutil.rmtree(self.directory)


def main():
    """0 when the document is true."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("creel", type=pathlib.Path)
    parser.add_argument("file", type=pathlib.Path)
    options = parser.parse_args()
    text = options.file.read_text()
    lines = text.splitlines()
    commands = parse(lines)
    if not commands:
        sys.exit(f"{options.file}: there is no command in it")
    user = USER.search(text)
    shell = Shell(options.creel.resolve(), user[1] if user else None)
    wrong = 0
    changes = []
    try:
        for command in commands:
            printed, status = shell.run(command.text)
            if command.hidden and status:
                sys.exit("\n".join([f"{options.file}:{command.line}: {command.text} failed", *printed]))
            if not command.hidden and not matches(command.expected, printed):
                wrong += 1
                changes.append((command, printed))
                print(f"{options.file}:{command.line}: $ {command.text}\nthe document says:")
                print("\n".join(f"    {line}" for line in command.expected))
                print("the command says:")
                print("\n".join(f"    {line}" for line in printed), flush=True)
    finally:
        shell.end()
    if options.update:
        for command, printed in reversed(changes):
            lines[command.begin:command.end] = [
                line.replace(str(shell.directory), "...") for line in printed]
        options.file.write_text("\n".join(lines) + "\n")
    print(f"{len(commands)} commands, {wrong} print something else")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
