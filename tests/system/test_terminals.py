"""Terminals from outside: modes, sizes, stalled and vanished readers, speed, and job control, all on
a real pty."""

import contextlib
import hashlib
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import termios
import threading
import time
import tty

import harness
import pytest
from harness import Terminal, read_all, wait_until

MIB = 1 << 20
HOST_TREES = ("/usr", "/bin", "/lib", "/lib64", "/etc")


@pytest.fixture
def root(creel):
    """A running container of root."""
    with creel.running(creel.bundle("/bin/probe", "sleep")) as container:
        yield container


@pytest.fixture
def host(creel):
    """A running container with the host's programs in it."""
    bundle = creel.bundle("/bin/probe", "sleep")
    bundle.spec["root"]["readonly"] = False
    bundle.spec["mounts"] += [
        {"destination": path, "source": path, "type": "bind", "options": ["rbind", "ro"]}
        for path in HOST_TREES if pathlib.Path(path).is_dir() and path != "/bin"]
    bundle.spec["mounts"].append({"destination": "/hostbin", "source": "/bin", "type": "bind",
                                  "options": ["rbind", "ro"]})
    with creel.running(bundle.write()) as container:
        yield container


def shell(*script):
    """busybox's shell with a script."""
    return ("/bin/busybox", "sh", "-c", "; ".join(script))


def foreground(creel, kind, root, *args, **more):
    """`run` of a new container or `exec` into ROOT, with a terminal of its own."""
    if kind == "exec":
        return creel.spawn("exec", "-t", root, *args, **more)
    bundle = creel.bundle(*args, terminal=True)
    return creel.spawn("run", "--bundle", bundle.path, creel.id(), **more)


def is_raw(terminal):
    return not terminal.attributes()[3] & termios.ICANON


# Modes


@pytest.mark.parametrize("kind", ["run", "exec"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT,
                                    signal.SIGUSR1, signal.SIGALRM])
def test_mode_is_restored_after_a_signal(creel, root, kind, number):
    """Every signal goes to the process; when that dies of it the terminal is as it was."""
    with Terminal() as terminal:
        before = terminal.attributes()
        # process 1 dies of no signal that it does not ask for
        trap = f"trap 'exit {128 + number}' {int(number)}"
        command = foreground(creel, kind, root, *shell(
            trap, "echo re''ady", "while :; do sleep 0.1; done"), **terminal.options())
        terminal.read_until("ready")
        assert is_raw(terminal)
        os.kill(command.pid, number)
        assert command.wait().code == 128 + number
        assert terminal.attributes() == before


@pytest.mark.parametrize("kind", ["run", "exec"])
def test_mode_is_restored_after_a_failure(creel, root, kind):
    with Terminal() as terminal:
        before = terminal.attributes()
        command = foreground(creel, kind, root, "/nosuch", **terminal.options())
        assert command.wait().code in (1, 255)
        assert terminal.attributes() == before


def test_mode_is_restored_when_the_container_is_deleted(creel, root):
    with Terminal() as terminal:
        before = terminal.attributes()
        command = creel.spawn("exec", "-t", root, "/bin/busybox", "sh", **terminal.options())
        terminal.read_until("# ")
        assert is_raw(terminal)
        creel.ok("kill", root, "KILL")
        assert command.wait().code == 137
        assert terminal.attributes() == before


def test_no_raw_mode_for_what_is_no_terminal(creel, root):
    """Input from a file, output to a terminal: whoever else reads that keeps its lines."""
    with Terminal() as terminal:
        before = terminal.attributes()
        command = creel.spawn("exec", "-t", root, *shell("echo o''k", "sleep 1"),
                              **{**terminal.options(), "stdin": subprocess.DEVNULL,
                                 "preexec_fn": None})
        terminal.read_until("ok")
        assert terminal.attributes() == before
        assert command.wait().code == 0


# Sizes


@pytest.mark.parametrize("kind", ["run", "exec"])
def test_size_is_there_from_the_start(creel, root, kind):
    """The program looks at once."""
    for attempt in range(10):
        with Terminal(rows=20 + attempt, columns=70) as terminal:
            command = foreground(creel, kind, root, "/bin/busybox", "stty", "size",
                                 **terminal.options())
            assert f"{20 + attempt} 70".encode() in terminal.read_until("\n")
            assert command.wait().code == 0


def test_size_of_the_output_when_the_input_is_none(creel, root):
    with Terminal(rows=17, columns=71) as terminal:
        command = creel.spawn("exec", "-t", root, "/bin/busybox", "stty", "size",
                              **{**terminal.options(), "stdin": subprocess.DEVNULL,
                                 "preexec_fn": None})
        assert b"17 71" in terminal.read_until("\n")
        assert command.wait().code == 0


def test_program_is_told_of_a_new_size(creel, root):
    """SIGWINCH reaches creel from the kernel, and the program from creel."""
    with Terminal(rows=30, columns=80) as terminal:
        command = creel.spawn("exec", "-t", root, *shell(
            "trap 'echo now $(stty size); exit 0' WINCH", "echo re''ady",
            "while :; do sleep 0.05; done"), **terminal.options())
        terminal.read_until("ready")
        terminal.resize(31, 81)
        terminal.read_until("now 31 81")
        assert command.wait().code == 0


# The container's side


def test_console_is_the_terminal(creel):
    script = ("test -c /dev/console && stat -c %t:%T /dev/console $(tty) && "
              "echo to-the-console > /dev/console")
    bundle = creel.bundle(*shell(script), terminal=True)
    with Terminal() as terminal:
        command = creel.spawn("run", "--bundle", bundle.path, creel.id(), **terminal.options())
        seen = terminal.read_until("to-the-console").decode()
        assert command.wait().code == 0
    numbers = re.findall(r"[0-9a-f]+:[0-9a-f]+", seen)
    assert len(numbers) == 2 and numbers[0] == numbers[1], seen


@pytest.mark.parametrize("kind", ["run", "exec"])
def test_end_of_the_last_writer_is_not_the_end_of_the_process(creel, root, kind):
    """It closes its terminal and works on."""
    with Terminal() as terminal:
        command = foreground(creel, kind, root, *shell(
            "echo bye", "exec >/dev/null 2>&1 </dev/null", "sleep 0.5", "exit 6"),
            **terminal.options())
        terminal.read_until("bye")
        assert command.wait().code == 6


# Readers that stall, or go away


def pipe_reader(read):
    """Collects what comes through a pipe in the background: (thread, list of bytes)."""
    found = []
    thread = threading.Thread(target=lambda: found.append(read_all(read)), daemon=True)
    thread.start()
    return thread, found


@pytest.mark.parametrize("kind", ["pipe", "terminal", "socket"])
def test_stalled_reader_stops_nothing_else(creel, root, kind):
    """Nobody reads what comes; signals still arrive, and creel ends with the process."""
    with Terminal() as terminal:
        if kind == "pipe":
            ours, theirs = os.pipe()
        elif kind == "socket":
            ours, theirs = (s.detach() for s in socket.socketpair())
        else:
            ours, theirs = os.dup(terminal.master), os.dup(terminal.slave)
        command = creel.spawn("exec", "-t", root, *shell(
            "trap 'exit 3' TERM", "cat /dev/zero & wait"), stdout=theirs)
        os.close(theirs)
        # what comes has been written behind the trap
        assert select.select([ours], [], [], harness.TIMEOUT)[0]
        time.sleep(0.5)
        assert command.process.poll() is None
        init = creel.state(root)["pid"]
        program = wait_until(lambda: [pid for pid in creel.ok("ps", "-f", "json", root).json()
                                      if pid != init and b"trap" in cmdline(pid)], "it runs")[0]
        os.kill(command.pid, signal.SIGTERM)
        # the process is gone, but what it wrote is still owed to the reader
        wait_until(lambda: not harness.is_alive(program), "the program ends")
        time.sleep(0.5)
        assert command.process.poll() is None

        def end():
            with contextlib.suppress(ProcessLookupError):
                os.kill(command.pid, signal.SIGTERM)
            time.sleep(0.1)
            return command.process.poll() is not None
        wait_until(end, "a signal ends it")
        assert command.wait().code == 3
        os.close(ours)


def test_nothing_is_lost_by_a_late_reader(creel, root):
    """The process has long ended when the first byte is read."""
    ours, theirs = os.pipe()
    command = creel.spawn("exec", "-t", root, *shell("stty raw", "seq 10000"), stdout=theirs)
    os.close(theirs)
    time.sleep(2.5)
    seen = read_all(ours)
    os.close(ours)
    assert command.wait().code == 0
    assert seen == "".join(f"{i}\n" for i in range(1, 10001)).encode()


def test_nothing_is_lost_on_the_way_in(creel, root):
    """The program reads late what is more than all buffers hold."""
    size = 2 * MIB + 7
    ours, theirs = os.pipe()
    out_ours, out_theirs = os.pipe()
    command = creel.spawn("exec", "-t", root, *shell(
        "stty raw -echo", "echo go", "sleep 1", f"head -c {size} | sha256sum"),
        stdin=ours, stdout=out_theirs)
    os.close(ours)
    os.close(out_theirs)
    data = os.urandom(size)
    assert os.read(out_ours, 100).strip() == b"go"     # raw mode must be set before the first byte
    thread, found = pipe_reader(out_ours)
    view = memoryview(data)
    while view:
        view = view[os.write(theirs, view[:65536]):]
    os.close(theirs)
    assert command.wait(60).code == 0
    thread.join(harness.TIMEOUT)
    os.close(out_ours)
    assert hashlib.sha256(data).hexdigest() in found[0].decode(), found


def test_both_sides_stall_by_turns(creel, root):
    """An echo of two megabytes: whoever reads slowly holds up the other direction only."""
    size = 2 * MIB
    in_ours, in_theirs = os.pipe()
    out_ours, out_theirs = os.pipe()
    command = creel.spawn("exec", "-t", root, *shell(
        "stty raw -echo", "echo go", f"head -c {size}"), stdin=in_ours, stdout=out_theirs)
    os.close(in_ours)
    os.close(out_theirs)
    assert os.read(out_ours, 100).strip() == b"go"
    data = os.urandom(size)

    def feed():
        for at in range(0, size, 50000):
            view = memoryview(data)[at:at + 50000]
            while view:
                view = view[os.write(in_theirs, view):]
            if at % 500000 == 0:
                time.sleep(0.2)
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    seen = b""
    while len(seen) < size:
        seen += os.read(out_ours, 30000)
        if len(seen) % 7 == 0:
            time.sleep(0.01)
    feeder.join(harness.TIMEOUT)
    assert seen == data
    os.close(in_theirs)
    assert command.wait().code == 0
    os.close(out_ours)


@pytest.mark.parametrize("kind", ["run", "exec"])
def test_reader_that_goes_away_hangs_the_terminal_up(creel, root, kind):
    ours, theirs = os.pipe()
    command = foreground(creel, kind, root, "/bin/busybox", "yes", stdout=theirs)
    os.close(theirs)
    assert os.read(ours, 10)
    os.close(ours)
    assert command.wait().code != 0


@pytest.mark.parametrize("kind", ["run", "exec"])
def test_output_that_cannot_be_written_is_told(creel, root, kind):
    """A file on a full disk is no reader that goes away."""
    with open("/dev/full", "wb") as full:
        result = foreground(creel, kind, root, "/bin/busybox", "echo", "lost", stdout=full).wait()
    assert result.code != 0, str(result)
    assert "cannot pass on what the container wrote: no space left on device" in result.err, str(result)


def test_flags_of_a_shared_output_stay(creel, root):
    """O_NONBLOCK on what others write to would make them fail."""
    ours, theirs = os.pipe()
    command = creel.spawn("exec", "-t", root, *shell("echo ok", "sleep 0.5"), stdout=theirs)
    assert b"ok" in os.read(ours, 100)
    assert os.get_blocking(theirs)
    assert command.wait().code == 0
    assert os.get_blocking(theirs)
    os.close(theirs)
    os.close(ours)


def test_appends_to_a_file(creel, root):
    file = creel.directory / "appended"
    file.write_text("before\n")
    with open(file, "ab") as target:
        assert creel.spawn("exec", "-t", root, "/bin/busybox", "echo", "after",
                           stdout=target).wait().code == 0
    assert file.read_bytes() == b"before\nafter\r\n"


# Speed


def drained(master, size):
    """MiB a second until SIZE bytes have come."""
    begin, seen = time.monotonic(), 0
    while seen < size:
        seen += len(os.read(master, 1 << 16))
    return size / MIB / (time.monotonic() - begin)


def through_cat(words, size):
    """The speed of a command in a pty, which `cat` relays into another: as many processes and copies as with creel."""
    with Terminal() as inner, Terminal() as outer:
        tty.setraw(inner.slave)
        with subprocess.Popen(words, stdout=inner.slave, stdin=subprocess.DEVNULL), \
                subprocess.Popen(["cat"], stdin=inner.master, stdout=outer.slave) as cat:
            speed = drained(outer.master, size)
            cat.kill()
    return speed


def test_speed(creel, root, record_property):
    """As fast as the simplest relay of the same way, within a half of it."""
    size = int(os.environ.get("CREEL_TERMINAL_MIB", "32")) * MIB
    words = ["head", "-c", str(size), "/dev/zero"]
    # Others may use the processors during one half of a comparison: the best of some is asked.
    for _ in range(10):
        plain = through_cat([creel.programs["/bin/busybox"], *words], size)
        with Terminal() as terminal:
            command = creel.spawn("exec", "-t", root, "/bin/busybox", *words, **terminal.options())
            ours = drained(terminal.master, size)
            assert command.wait().code == 0
        if ours > plain / 2:
            break
    record_property("cat_mib_per_second", plain)
    record_property("creel_mib_per_second", ours)
    print(f"cat {plain:.0f} MiB/s, creel {ours:.0f} MiB/s")
    assert ours > plain / 2, (ours, plain)


# Job control


@pytest.mark.parametrize("program", ["bash", "dash", "busybox"])
def test_job_control(creel, host, program):
    """As in a login shell: stop, list, background, foreground, interrupt."""
    words = {"bash": ("/hostbin/bash", "--norc", "--noprofile", "-i"),
             "dash": ("/hostbin/dash", "-i"), "busybox": ("/bin/busybox", "sh", "-i")}[program]
    if program != "busybox":
        harness.require_program(program)
    with Terminal() as terminal:
        command = creel.spawn("exec", "-t", "--env", "PS1=$ ", host, *words, **terminal.options())
        terminal.read_until("$ ")
        terminal.write("/bin/busybox sleep 100\r")
        terminal.read_until("sleep 100\r\n")
        harness.wait_for_job(creel, host)
        terminal.write("\x1a")          # ^Z
        terminal.read_until("topped")
        terminal.write("jobs; echo j''1\r")
        assert b"sleep 100" in terminal.read_until("j1\r\n")
        terminal.write("bg; echo j''2\r")
        terminal.read_until("j2\r\n")
        terminal.write("jobs; echo j''3\r")
        assert b"unning" in terminal.read_until("j3\r\n")
        terminal.write("fg\r")
        terminal.read_until("sleep 100\r\n")
        harness.wait_for_job(creel, host)
        terminal.write("\x03")          # ^C
        terminal.read_until("$ ")
        terminal.write("echo $?; jobs; echo j''4\r")
        seen = terminal.read_until("j4\r\n")
        assert b"130" in seen and b"unning" not in seen, seen
        # what reads in the background is stopped by the terminal
        terminal.write("/bin/busybox cat &\r")
        terminal.asks_until("jobs", "topped")
        terminal.write("kill %1; fg; echo j''6\r")
        terminal.read_until("j6\r\n")
        terminal.read_until("$ ")       # it reads single characters again: an end typed before that is lost
        terminal.write("\x04")          # ^D
        command.wait()


def test_creel_is_a_job(creel, host):
    """In the background it is stopped before it touches the terminal; fg brings it back."""
    line = " ".join([str(creel.binary), "--root", str(creel.root), "exec", "-t", host,
                     "/bin/busybox", "sh"])
    harness.require_program("bash")
    with Terminal() as terminal:
        outer = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"],
                                 env=creel.environment({"PS1": "outer> "}), **terminal.options())
        terminal.read_until("outer> ")
        terminal.write(f"{line} &\r")
        terminal.read_until("&\r\n")
        terminal.asks_until("jobs", "topped")
        for _ in range(2):
            terminal.write("fg\r")
            terminal.read_until("busybox sh\r\n")
            terminal.write("echo in''side; stty size\r")
            terminal.read_until("inside\r\n")
            assert is_raw(terminal)
            # ^Z is the inner shell's; only a signal stops creel itself
            pid = int(subprocess.run(["pgrep", "-P", str(outer.pid), "-x", "creel"], check=True,
                                     capture_output=True, text=True).stdout.split()[0])
            os.kill(pid, signal.SIGSTOP)
            terminal.read_until("topped")
            terminal.read_until("outer> ")
            terminal.resize(33, 99)
        terminal.write("fg\r")
        terminal.read_until("busybox sh\r\n")
        terminal.write("stty size\r")
        terminal.read_until("33 99")
        terminal.write("exit 7\r")
        terminal.read_until("outer> ")
        terminal.write("echo code $?\r")
        terminal.read_until("code 7")
        terminal.write("exit\r")
        outer.wait(harness.TIMEOUT)


def test_creel_without_a_terminal_is_a_job(creel, host):
    """^Z stops the program and creel, fg continues both, ^C ends both."""
    harness.require_program("bash")
    script = "trap 'echo interrupted; exit 130' INT; while :; do echo tick; /bin/busybox sleep 0.1; done"
    line = " ".join([str(creel.binary), "--root", str(creel.root), "exec", host, "/bin/busybox",
                     "sh", "-c", f'"{script}"'])
    with Terminal() as terminal:
        outer = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"],
                                 env=creel.environment({"PS1": "outer> "}), **terminal.options())
        terminal.read_until("outer> ")
        terminal.write(f"{line}\r")
        terminal.read_until("\r\n")
        inside = wait_until(lambda: [pid for pid in creel.ok("ps", "-f", "json", host).json()
                                     if cmdline(pid).startswith(b"/bin/busybox")
                                     and b"interrupted" in cmdline(pid)], "it runs")[0]
        terminal.write("\x1a")
        terminal.read_until("topped")
        terminal.read_until("outer> ")
        wait_until(lambda: harness.stat_fields(inside)[0] == "T", "the program stands still")
        terminal.write("fg\r")
        terminal.read_until("fg\r\n")
        terminal.read_until("tick")     # it may have been stopped before its trap was there
        terminal.write("\x03")
        terminal.read_until("interrupted")
        terminal.read_until("outer> ")
        terminal.write("echo code $?\r")
        terminal.read_until("code 130")
        terminal.write("exit\r")
        outer.wait(harness.TIMEOUT)


def cmdline(pid):
    """Its words, or nothing when it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_interrupt_reaches_the_program_alone(creel, root):
    """^C is a byte for creel and a signal for what runs in the foreground of the container."""
    with Terminal() as terminal:
        command = creel.spawn("exec", "-t", root, "/bin/busybox", "sh", **terminal.options())
        terminal.read_until("# ")
        for _ in range(5):
            terminal.write("sleep 100\r")
            terminal.read_until("sleep 100\r\n")
            harness.wait_for_job(creel, root)
            terminal.write("\x03")
            terminal.read_until("# ")
        terminal.write("echo code $?\r")
        terminal.read_until("code 130")
        terminal.write("exit 9\r")
        assert command.wait().code == 9
