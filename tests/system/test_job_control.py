"""^Z and ^C at moments that nobody could hit by time: what is on its way into a container is held in a system call, the key is typed, and
it goes on.  creel is a job of an interactive shell, without a terminal for the container."""

import contextlib
import pathlib
import re
import shlex
import signal
import subprocess

import harness
import pytest
from harness import TIMEOUT, Terminal, wait_until
from held import SETPGID, SETSID, Held
from test_rootless import ranges, user  # noqa: F401

PROGRAM = ("/bin/busybox", "sh", "-c", "trap 'echo interrupted; exit 130' INT; while :; do echo tick; /bin/busybox sleep 0.1; done")


def field(pid, name):
    """A line of its /proc/PID/status."""
    return re.search(rf"^{name}:\s*(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)


def type_key(terminal, key, number, held):
    """A KEY that sends a signal, until that has come to all of the job: creel, which is the parent of who is HELD, has it waiting."""
    creel = int(field(held, "PPid"))
    terminal.write(key)
    wait_until(lambda: int(field(creel, "ShdPnd"), 16) >> (number - 1) & 1, "the signal comes")


def runs_program(pid):
    """Whether it has executed PROGRAM."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == "\0".join((*PROGRAM, "")).encode()
    return False


@contextlib.contextmanager
def exec_of(creel):
    """A container and an `exec` into it: words, and how to find the program."""
    with creel.running(creel.bundle("/bin/probe", "sleep")) as name:
        yield ("exec", name, *PROGRAM), lambda: creel.ok("ps", "-f", "json", name).json()


@contextlib.contextmanager
def run_of(creel, change=None, **more):
    """A container to run: process 1 of a pid namespace heeds no ^Z, so it has none."""
    bundle = creel.bundle(*PROGRAM, **more)
    namespaces = bundle.spec["linux"]["namespaces"]
    bundle.spec["linux"]["namespaces"] = [ns for ns in namespaces if ns["type"] != "pid"]
    bundle.spec["mounts"] = [mount for mount in bundle.spec["mounts"] if mount["type"] != "proc"]
    if change:
        change(bundle.spec)
    name = creel.id()
    try:
        yield ("run", "--bundle", bundle.write().path, name), lambda: [creel.state(name)["pid"]]
    finally:
        creel.run("delete", "--force", name)


def with_ranges(spec):
    """Ids that newuidmap and newgidmap have to map."""
    for name in ("uidMappings", "gidMappings"):
        spec["linux"][name] = [{"containerID": 0, "hostID": harness.USER, "size": 1},
                               {"containerID": 1, "hostID": 100000, "size": 65536}]


def with_hook(spec):
    """A hook that ends at once, and is held at its beginning."""
    spec["hooks"] = {"createRuntime": [{"path": "/bin/true"}]}


CASES = {
    "exec, before its birth": (exec_of, SETPGID),
    "exec, after its birth": (exec_of, SETSID),
    "run": (run_of, SETSID),
    "run with a user namespace": (lambda creel: run_of(creel, userns=True), SETSID),
    "hook": (lambda creel: run_of(creel, with_hook), SETPGID),
    "newuidmap": (lambda creel: run_of(creel, with_ranges, rootless=True), SETPGID),
}


@pytest.fixture
def own(creel, case, request):
    """creel as an ordinary user where the case needs one with ids of its own."""
    return request.getfixturevalue("ranges") if case == "newuidmap" else creel


@contextlib.contextmanager
def interactive(creel, terminal):
    """bash at the terminal, which ends with the block."""
    harness.require_program("bash")
    with subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], cwd=creel.directory,
                          env=creel.environment({"PS1": "outer> "}), **terminal.options()) as shell:
        try:
            terminal.read_until("outer> ")
            yield
            terminal.write("exit\r")
            shell.wait(TIMEOUT)
        finally:
            shell.kill()


def type_command(creel, terminal, words):
    """From a file, since a terminal's line is short."""
    pathlib.Path(creel.directory, "line").write_text(f"exec {shlex.join(map(str, words))}\n")
    terminal.write("bash ./line\r")


@contextlib.contextmanager
def typed_on_the_way_in(creel, case, key, number):
    """The shell's terminal when KEY has been typed at the moment of CASE and that is over, and how to find the program."""
    make, call = CASES[case]
    with Terminal() as terminal, Held(creel.directory / "held") as held, interactive(creel, terminal), \
            make(creel) as (words, find):
        type_command(creel, terminal, held.command(call, *creel.prefix, creel.binary, "--root", creel.root, *words))
        pid, identifier = held.wait(TIMEOUT)
        type_key(terminal, key, number, pid)
        held.let_go(identifier)
        yield terminal, find


@pytest.mark.parametrize("case", CASES)
def test_stop_on_the_way_in(own, case):
    """Nothing stays behind, stopped before the program: that is reached, and stops with creel; fg continues both, ^C ends both."""
    with typed_on_the_way_in(own, case, "\x1a", signal.SIGTSTP) as (terminal, find):
        terminal.read_until("topped")
        terminal.read_until("outer> ")
        inside = wait_until(lambda: [pid for pid in find() if runs_program(pid)], "it runs")[0]
        wait_until(lambda: harness.stat_fields(inside)[0] == "T", "the program stands still")
        terminal.write("fg\r")
        terminal.read_until("fg\r\n")
        terminal.read_until("tick")     # it may have been stopped before its trap was there
        terminal.write("\x03")
        terminal.read_until("interrupted")
        terminal.read_until("outer> ")
        terminal.write("echo code $?\r")
        terminal.read_until("code 130")


@pytest.mark.parametrize("case", CASES)
def test_interrupt_on_the_way_in(own, case):
    """It is for the program, and no failure of what leads to that."""
    with typed_on_the_way_in(own, case, "\x03", signal.SIGINT) as (terminal, _):
        said = terminal.read_until("outer> ")
        assert not re.search(rb"creel: (?!warning)", said), said
        terminal.write("echo code $?\r")
        terminal.read_until("code 130")
