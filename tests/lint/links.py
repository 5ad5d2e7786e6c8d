#!/usr/bin/python3
"""What the documents point at exists: relative links with their headings, file names in backquotes, and manual pages."""

import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("base", "json", "oci", "kernel", "plan", "container", "cli")

FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
QUOTED = re.compile(r"`([^`\n]+)`")
PAGE = re.compile(r"\b(creel(?:-[a-z]+)?)\((\d)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.M)


def documents():
    """The documents that git knows, or, in an archive of the source, all."""
    done = subprocess.run(["git", "-C", str(TOP), "ls-files", "-z", "*.md"], capture_output=True,
                          check=False)
    if done.returncode == 0:
        return [TOP / name for name in done.stdout.decode().split("\0") if name]
    return [path for path in sorted(TOP.rglob("*.md")) if "build" not in path.parts[len(TOP.parts)]]


def slug(heading):
    """The anchor that the usual web interfaces give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def check_link(path, target):
    """A relative link leads to a file, and its anchor to a heading of it."""
    if re.match(r"[a-z]+:", target):
        return None
    name, _, anchor = target.partition("#")
    file = (path.parent / name).resolve() if name else path
    if not file.exists():
        return f"the link {target} leads nowhere"
    if anchor and anchor not in {slug(text) for text in HEADING.findall(file.read_text())}:
        return f"{target}: there is no such heading"
    return None


def candidates(word, path):
    """Where a name in backquotes may be, or nothing when it is no file of the project."""
    first = word.split("/")[0]
    if re.search(r"[<>$={}]|\.\.\.|://", word) or "/" not in word or not re.fullmatch(r"[\w./*-]+", word):
        return []
    if word.startswith("share/doc/"):    # where it is installed
        return []
    if first in ROOMS:
        return [TOP / "src", TOP / "include"]
    if first in {"src", "include", "tests", "docs", "man", "bundles", "share", "packaging", "debian"}:
        return [TOP, path.parent]
    return []


def check_quoted(path, text):
    """A file that is named is there."""
    word = text.split()[0].removeprefix("./") if text.split() else ""
    places = candidates(word, path)
    if places and not any(next(place.glob(word.rstrip("/")), None) for place in places):
        return f"there is no file {word}"
    return None


def check_page(name, section):
    """A manual page that is named is there, or a program writes it."""
    if (TOP / "man" / f"{name}.{section}").exists() or (TOP / "man" / f"{name}.c").exists():
        return None
    return f"there is no manual page {name}({section})"


def main():
    """0 when everything is there."""
    problems, n = [], 0
    for path in documents():
        text = FENCE.sub("", path.read_text())
        found = [check_link(path, target) for target in LINK.findall(text)]
        found += [check_quoted(path, quoted) for quoted in QUOTED.findall(text)]
        found += [check_page(*page) for page in PAGE.findall(text)]
        n += len(found)
        problems += [f"{path.relative_to(TOP)}: {problem}" for problem in found if problem]
    print("\n".join(problems) or f"{n} references are right")
    return 1 if problems or not n else 0


if __name__ == "__main__":
    sys.exit(main())
