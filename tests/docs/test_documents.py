"""The commands in the documents do what the documents say, in the fast laboratory, where anybody can repeat them.

`tests/docs/update FILE...` puts what the commands print into the documents.
"""

import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
FILES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
DOCUMENTS = [str(path.relative_to(TOP)) for path in FILES if "\n```console\n" in path.read_text()]


def console(binary, *words):
    """Runs console.py where the documents are meant to be true."""
    # The checkout is there anyway.
    bind = [] if TOP in binary.parents else ["--bind", str(binary)]
    return subprocess.run([str(TOP / "tests/lab/fast"), "--timeout", "120", *bind,
                           str(TOP / "tests/docs/console.py"), *words],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=300, cwd=TOP)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document(binary, name):
    done = console(binary, str(binary), name)
    assert done.returncode == 0, done.stdout


def test_there_are_documents():
    assert {"README.md", "docs/tutorial.md", "docs/rootless.md", "docs/debugging.md"} <= set(DOCUMENTS)


def test_untruth_is_found(binary, tmp_path):
    """What a command does not print, or a command that is not there, is not accepted."""
    true = "```console\n$ printf 'one\\ntwo\\nthree\\n'\none\n[...]\nthr...\n$ false; echo $?\n1\n```\n"
    for text, good in ((true, True), (true.replace("thr...", "thr"), False),
                       (true.replace("[...]\n", ""), False), (true.replace("1\n", "0\n"), False),
                       (true.replace("printf", "printg"), False),
                       ("<!-- run: false -->\n" + true, False)):
        document = tmp_path / "document.md"
        document.write_text(text)
        done = subprocess.run([str(TOP / "tests/docs/console.py"), str(binary), str(document)],
                              capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode == 0) == good, text + done.stdout
