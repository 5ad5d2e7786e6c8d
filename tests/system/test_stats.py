"""`creel stats`: the table, the live table on a terminal, JSON, and OpenMetrics.

What the numbers are is tested against the kernel's own files in the laboratory (test_events.py).
"""

import os
import re
import signal
import termios
import time

import openmetrics
import pytest
from harness import TOP, stat_fields, wait_until
from terminals import Terminal

ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"


@pytest.fixture
def container(creel):
    """A container that runs."""
    with creel.running() as name:
        yield name


class Live:
    """`creel stats` on a terminal."""

    def __init__(self, creel, *words, rows=30, columns=160):
        self.terminal = Terminal(rows, columns)
        self.before = self.terminal.attributes()
        self.command = creel.spawn("stats", *words, **self.terminal.options())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.command.end()
        self.terminal.close()

    def frame(self):
        """The next whole frame, without escape sequences."""
        frame = self.terminal.read_until(b"\x1b[J").decode()
        return re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", frame).replace("\r\n", "\n")

    def end(self):
        """The exit code; the terminal is as it was before."""
        self.terminal.read_until(LEAVE)
        code = self.command.wait().code
        assert self.terminal.attributes() == self.before
        return code


def test_the_table(creel, container):
    lines = creel.ok("stats").out.splitlines()
    assert lines[0].split() == ["ID", "CPU", "MEMORY", "LIMIT", "PEAK", "PIDS", "READ", "WRITTEN",
                                "CPU-PSI", "MEM-PSI", "IO-PSI"]
    assert lines[1].split()[0] == container
    # Numbers end where their heads end.
    assert len(lines[0]) == len(lines[1]), lines


def test_without_containers(creel):
    assert creel.ok("stats").out.count("\n") == 1
    assert creel.ok("stats", "--format", "json").json() == {}
    openmetrics.parse(creel.ok("stats", "--format", "openmetrics").out)


def test_an_unknown_container(creel):
    creel.fails("does not exist", "stats", creel.id())


def test_wrong_interval(creel):
    creel.fails("interval must be greater than 0", "stats", "--interval", "0")


def test_no_escape_sequences_in_a_file(creel, container):
    assert "\x1b" not in creel.ok("stats", container).out


def test_no_stream_on_a_terminal(creel, container):
    with Live(creel, "--no-stream") as live:
        text = live.terminal.read_until(container)
        assert b"\x1b" not in text
        assert live.command.wait().code == 0


def test_openmetrics(creel, container):
    with creel.running() as other:
        families = openmetrics.parse(creel.ok("stats", "--format", "openmetrics").out)
        usage = families["creel_cpu_usage_seconds"]
        assert (usage.type, usage.unit) == ("counter", "seconds")
        assert set(usage.samples) == {f'id="{container}"', f'id="{other}"'}
        one = openmetrics.parse(creel.ok("stats", "-f", "openmetrics", other).out)
        assert set(one["creel_cpu_usage_seconds"].samples) == {f'id="{other}"'}
    assert {"creel_memory_usage_bytes", "creel_pids", "creel_io_bytes", "creel_io_operations",
            "creel_pressure_memory_stalled_seconds", "creel_pressure_io_waiting_seconds",
            "creel_pressure_cpu_waiting_seconds", "creel_memory_oom_kills",
            "creel_cpu_throttled_seconds", "creel_build"} <= set(families)


def test_the_manual_has_every_metric(creel):
    families = openmetrics.parse(creel.ok("stats", "--format", "openmetrics").out)
    page = (TOP / "man/creel-stats.8").read_text()
    assert set(re.findall(r"\bcreel_\w+", page)) == set(families)


@pytest.mark.parametrize("text", [
    "", "# EOF", "# TYPE a counter\na 1\n# EOF\n", "a 1\n# EOF\n",
    "# TYPE a gauge\na 1\na 2\n# EOF\n", '# TYPE a gauge\na{b=1} 1\n# EOF\n',
    '# TYPE a gauge\na{b="1",b="2"} 1\n# EOF\n', "# TYPE a gauge\na x\n# EOF\n",
    "# TYPE a gauge\n\n# EOF\n", "# UNIT a_b c\n# TYPE a_b gauge\n# EOF\n",
    "# TYPE a gauge\na 1\n# HELP a b\n# EOF\n", "# TYPE a counter\na_total -1\n# EOF\n",
    "# TYPE a gauge\n# TYPE b gauge\na 1\n# EOF\n", "# TYPE a histo\n# EOF\n",
    "# TYPE a gauge\n# TYPE a gauge\n# EOF\n", "# HELP a b\n# EOF\n"])
def test_the_reader_is_strict(text):
    with pytest.raises(AssertionError):
        openmetrics.parse(text)


def test_live(creel):
    """Frames come by themselves and follow what lives; ^C ends it and leaves the last table."""
    with Live(creel, "--interval", "50ms") as live:
        live.terminal.read_until(ENTER)
        assert live.frame().split()[:3] == ["ID", "CPU%", "CPU"]
        assert not live.terminal.attributes()[3] & (termios.ECHO | termios.ICANON)
        with creel.running(creel.shell("while :; do :; done")) as name:
            wait_until(lambda: re.search(rf"^{name} +[1-9][\d.]*%", live.frame(), re.M),
                       "the container is shown with its share of the CPU")
            live.terminal.write("\x03")
            live.terminal.read_until(LEAVE)
            assert live.command.wait().code == 0
            assert live.terminal.read_until(name).startswith(b"ID ")
        assert live.terminal.attributes() == live.before


def test_live_ends_with_q(creel, container):
    with Live(creel, container) as live:
        assert container in live.frame()
        live.terminal.write("xq")
        assert live.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_live_ends_by_signal(creel, container, number):
    with Live(creel) as live:
        live.frame()
        os.kill(live.command.pid, number)
        assert live.end() == 128 + number


def test_live_ends_with_its_containers(creel):
    with creel.running() as name:
        with Live(creel, "--interval", "50ms", name) as live:
            assert name in live.frame()
            creel.ok("delete", "--force", name)
            assert live.end() == 0


def test_live_error_is_said_on_the_usual_screen(creel):
    with Live(creel, creel.id()) as live:
        text = live.terminal.read_until(b"does not exist")
        assert ENTER not in text
        assert live.command.wait().code == 1


def test_live_stops_and_goes_on(creel, container):
    with Live(creel, "--interval", "50ms") as live:
        live.frame()
        live.terminal.write("\x1a")
        live.terminal.read_until(LEAVE)
        wait_until(lambda: stat_fields(live.command.pid)[0] == "T", "it stops")
        assert live.terminal.attributes() == live.before
        os.kill(live.command.pid, signal.SIGCONT)
        live.terminal.read_until(ENTER)
        live.frame()
        live.terminal.write("q")
        assert live.end() == 0


def test_live_keeps_within_the_terminal(creel):
    """No line is longer than the terminal is wide; what has no place is counted."""
    names = [creel.create(creel.bundle("/bin/probe", "sleep")) for _ in range(3)]
    try:
        with Live(creel, "--interval", "50ms", rows=4, columns=40) as live:
            live.frame()
            lines = live.frame().splitlines()
            assert len(lines) == 3 and lines[-1] == "... 2 more", lines
            assert all(len(line) <= 40 for line in lines)
            live.terminal.resize(24, 200)
            os.kill(live.command.pid, signal.SIGWINCH)
            wait_until(lambda: all(name in live.frame() for name in names), "all rows")
            live.terminal.write("q")
            assert live.end() == 0
    finally:
        for name in names:
            creel.ok("delete", "--force", name)


def test_live_does_not_spin(creel, container):
    """Between two looks it sleeps."""
    with Live(creel, "--interval", "30s") as live:
        live.frame()
        time.sleep(0.5)
        fields = stat_fields(live.command.pid)
        assert int(fields[11]) + int(fields[12]) < 0.2 * os.sysconf("SC_CLK_TCK")
        live.terminal.write("q")
        assert live.end() == 0
