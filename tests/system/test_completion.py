"""`creel completion`: each shell reads its script, and completes what stands in the tables."""

import os
import re
import shlex
import subprocess

import pytest
from harness import require_program
from terminals import Terminal

SHELLS = ["bash", "zsh", "fish"]


@pytest.fixture
def home(creel):
    """An empty home, and a PATH with creel in it."""
    place = creel.directory / "home"
    (place / "bin").mkdir(parents=True)
    (place / "bin/creel").symlink_to(creel.binary)
    (place / "data").mkdir()
    (place / "data/file.json").touch()
    for shell in SHELLS:
        (place / shell).write_text(creel.ok("completion", shell, root=False).out)
    return place


def environment(home):
    """What the shells run with."""
    return {"HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}", "TERM": "xterm",
            "LC_ALL": "C.UTF-8", "XDG_RUNTIME_DIR": str(home)}


def run(home, *argv):
    """The lines that a shell prints."""
    done = subprocess.run(argv, cwd=home, env=environment(home), capture_output=True, text=True,
                          timeout=30, stdin=subprocess.DEVNULL, check=False)
    assert (done.returncode, done.stderr) == (0, ""), (argv, done)
    return done.stdout.splitlines()


def bash(home, line):
    """What bash offers at the end of LINE, which it splits at "=" as readline does."""
    words = re.findall(r"=|[^\s=]+", line) + ([""] if line.endswith((" ", "=")) else [])
    if line.endswith("="):
        words = words[:-1]
    script = (f"source {home}/bash; COMP_WORDS=({' '.join(map(shlex.quote, words))}); "
              f"COMP_CWORD={len(words) - 1}; _creel; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    return {word for word in run(home, "bash", "--norc", "-c", script) if word}


def fish(home, line):
    """What fish offers."""
    script = f"source {home}/fish; complete -C {shlex.quote(line)}"
    return {word.split("\t")[0] for word in run(home, "fish", "--no-config", "-c", script)}


def zsh(home, line):
    """What zsh offers: the words that it lists when ^D is typed."""
    marker = "ready>"
    with Terminal(rows=200, columns=120) as terminal:
        process = subprocess.Popen(["zsh", "-f", "-i"], cwd=home,
                                   env={**environment(home), "PS1": marker, "LISTMAX": "1000"},
                                   **terminal.options())
        try:
            terminal.read_until(marker)
            terminal.write("autoload -U compinit && compinit -D -u && "
                           f"source {home}/zsh; PS1='go''ing>'\n")
            terminal.read_until("going>")
            terminal.write(line + "\x04")
            terminal.read_until(line)
            terminal.write("\x15echo the''end\n")
            found = terminal.read_until("theend\r\n")
        finally:
            process.kill()
            process.wait()
    text = re.sub(rb"\x1b\[[?\d;]*[A-Za-z]|\x1b[=>]", b"", found).decode()
    return set(re.findall(r"[^\s]+", text.rsplit("echo", 1)[0])) - set(line.split())


COMPLETE = {"bash": bash, "fish": fish, "zsh": zsh}


@pytest.fixture(params=SHELLS)
def offers(request, home):
    """A function that says what one of the shells offers at the end of a line."""
    require_program(request.param)
    return lambda line: COMPLETE[request.param](home, line)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_valid(home, shell):
    require_program(shell)
    run(home, shell, "-n", f"{home}/{shell}")


def test_commands(creel, offers):
    text = creel.ok("--help", root=False).out
    names = re.findall(r"^  (\w+) ", text.split("Commands:\n")[1].split("\n\n")[0], re.M)
    assert set(names) <= offers("creel ")
    assert {"create", "completion"} <= offers("creel c")


def test_values_of_options(offers):
    assert {"table", "steps", "json"} <= offers("creel plan --format ")
    assert {"table", "json", "openmetrics"} <= offers("creel --root /tmp stats -f ")
    assert {"cgroupfs", "systemd", "disabled"} <= offers("creel --cgroup-manager ")


def test_values_behind_an_equals_sign(offers):
    assert {"text", "json"} <= {word.removeprefix("--log-format=")
                                for word in offers("creel --log-format=")}


def test_ids_of_the_given_root(creel, offers):
    name, other = (creel.create(creel.bundle("/bin/probe", "sleep")) for _ in range(2))
    try:
        for verb in ("state", "kill --all", "exec --tty"):
            assert {name, other} <= offers(f"creel --root {creel.root} {verb} ")
        assert other in offers(f"creel --root {creel.root} stats {name} ")
        assert name not in offers("creel state ")
        assert not {name, other} & offers(f"creel --root {creel.root} state {name} ")
    finally:
        creel.ok("delete", "--force", name)
        creel.ok("delete", "--force", other)


def test_words(creel, offers):
    assert {"TERM", "KILL", "HUP"} <= offers(f"creel --root {creel.root} kill web ")
    assert {"bash", "fish", "zsh"} <= offers("creel completion ")
    assert {"CRL-2002", "CRL-5006"} <= offers("creel explain CRL-")


def test_directories_and_files(offers):
    assert {word.rstrip("/") for word in offers("creel run --bundle d")} >= {"data"} \
        or "data/" in offers("creel run --bundle ")
    assert any("file.json" in word for word in offers("creel exec --process data/f")) \
        or "file.json" in offers("creel exec --process data/")


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_every_option_of_every_command(creel, home, shell):
    """Each option that the usage text has is offered."""
    require_program(shell)
    text = creel.ok("--help", root=False).out
    for name in re.findall(r"^  (\w+) ", text.split("Commands:\n")[1].split("\n\n")[0], re.M):
        if name == "help":
            continue
        usage = creel.ok(name, "--help", root=False).out
        wanted = {f"--{option}" for option in re.findall(r"^  +(?:-\w, )*--([\w-]+)", usage, re.M)}
        assert wanted <= COMPLETE[shell](home, f"creel {name} --"), name
