"""What the system tests are written with: running creel so that nothing ever hangs, bundles with
the probe in them, and the comparison of the host before and after.

The process that runs the tests lives in a mount namespace of its own, and orphaned containers
become its children, so that whatever creel leaves behind can be told from the rest of the host.
"""

import contextlib
import copy
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import bundles
import pytest
from terminals import (TIMEOUT, ConsoleSocket, Terminal, adopt_terminal,  # noqa: F401
                       read_all)

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
USER = 1000             # whose containers the rootless tests make
MAPPED = 100000         # what 0 of a user namespace is outside, as in bundles.default_spec()
_CLEAN = ("XDG_RUNTIME_DIR", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET",
          "NO_COLOR", "DBUS_SESSION_BUS_ADDRESS")

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 2, 32, 4096, 16384, 1 << 18
PR_SET_CHILD_SUBREAPER = 36


def _check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, data=None):
    """mount(2)."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), kind and kind.encode(),
                       ctypes.c_ulong(flags), data and data.encode()), f"mount {target}")


def unmount(target):
    """umount2(2), lazily."""
    _check(_libc.umount2(os.fsencode(target), 2), f"umount {target}")


def set_apart():
    """Gives this process mounts of its own, and the orphans of its children."""
    _check(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def wait_until(condition, what, timeout=TIMEOUT):
    """Returns the first true result of CONDITION()."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(0.005)


def cgroup_root():
    """The mount point of cgroup2, or None."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            return pathlib.Path(line.split()[1])
    return None


def require_controller(name):
    """Skips the test when the kernel has no cgroup2 controller NAME for us."""
    root = cgroup_root()
    have = (root / "cgroup.controllers").read_text().split() if root else []
    if name not in have:
        pytest.skip(f"needs the cgroup2 controller {name}; here: {' '.join(have) or 'none'}")


def has_capability(name):
    """Whether we may do what NAME allows."""
    return bool(bundles._bounding_set() >> bundles.CAPABILITY_NUMBERS[name] & 1)


def require_capability(name):
    """Skips the test when we may not do what NAME allows."""
    if not has_capability(name):
        pytest.skip(f"needs CAP_{name}")


def require_program(name):
    """The path of a program, or skips the test."""
    path = shutil.which(name)
    if not path:
        pytest.skip(f"needs the program {name}")
    return path


@contextlib.contextmanager
def bfq():
    """The disk with BFQ as its scheduler: cgroups have io.bfq.weight while its module is loaded."""
    scheduler = pathlib.Path("/sys/block/vda/queue/scheduler")
    before = scheduler.read_text().split("[")[1].split("]")[0]
    subprocess.run(["modprobe", "bfq"], check=True, timeout=60)
    scheduler.write_text("bfq")
    try:
        yield
    finally:
        scheduler.write_text(before)
        subprocess.run(["modprobe", "--remove", "bfq"], check=True, timeout=60)


def stat_fields(pid):
    """The fields of /proc/PID/stat behind the name: state, ppid, ...  None when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2:].split()


def is_alive(pid):
    """Whether PID exists and is no zombie."""
    fields = stat_fields(pid)
    return bool(fields) and fields[0] not in "ZX"


def wait_for_job(creel, name):
    """Waits until the shell in a container has a program in the foreground of its terminal: that is whom a typed ^C is for."""
    def command_line(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        return b""

    def has_job():
        for pid in creel.ok("ps", "--format", "json", name).json():
            fields = stat_fields(pid)
            # The group of what leads the session, and the one in the foreground.  Until it has executed its program it ignores
            # what the shell ignores.
            if fields and fields[3] == str(pid) and fields[5] not in ("-1", "0", fields[2]):
                return command_line(fields[5]) not in (b"", command_line(pid))
        return False
    wait_until(has_job, "a job in the foreground")


def descendants():
    """All living processes below this one, as a dict from pid to command line."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(entry)
            if fields:
                children.setdefault(int(fields[1]), []).append((int(entry), fields[0]))
    found, queue = {}, [os.getpid()]
    while queue:
        for pid, state in children.get(queue.pop(), []):
            queue.append(pid)
            if state in "ZX":
                continue
            try:
                line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[pid] = line.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


_waited_for = set()     # pids of the commands that a Background will wait for
_spawning = threading.Lock()


def reap():
    """Collects the orphans that have ended, as engines do: an unreaped one keeps the pid namespace
    that it was in alive."""
    with _spawning:
        children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for pid in map(int, children):
            if pid not in _waited_for and not is_alive(pid):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


class Snapshot:
    """What creel could leave behind on the host, of the containers with NAMES."""

    def __init__(self, creel):
        self.creel = creel
        self.directory = str(creel.directory)

    @property
    def names(self):
        """The ids of the test."""
        return self.creel.names

    @property
    def root(self):
        """The state root of the test, which it may choose."""
        return self.creel.root

    def _cgroups(self):
        """Ours: named after an id, or on or below a path that a document of ours has named."""
        top, found = cgroup_root(), set()
        wanted = {f"creel-{name}" for name in self.names} | self.names
        for path, _, _ in os.walk(top) if top else ():
            inside = path[len(str(top)):]
            if (not wanted.isdisjoint(inside.split("/"))
                    or any(inside == own or inside.startswith(own + "/")
                           or (inside and own.startswith(inside + "/"))
                           for own in self.creel.cgroups)):
                found.add(path)
        return found

    def take(self):
        """Everything, as a dict from kind to set."""
        mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        unix = pathlib.Path("/proc/net/unix").read_text().splitlines()
        keys = pathlib.Path("/proc/keys").read_text().splitlines()
        return {
            "mount": {line.split(" ", 3)[3] for line in mounts},
            "cgroup": self._cgroups(),
            "process": {f"{pid}: {line}" for pid, line in descendants().items()},
            "state": (set(os.listdir(self.root)) - {".cache"} if self.root.is_dir()
                      else set()),
            "socket": {line.split(None, 7)[-1] for line in unix if self.directory in line},
            "keyring": {line.split()[8] for line in keys
                        if len(line.split()) > 8 and line.split()[8].startswith("_ses.")
                        and line.split()[8][5:].rstrip(":") in self.names},
        }

    def difference(self, before, timeout):
        """Sentences about what has changed since BEFORE; what is dying gets TIMEOUT seconds."""
        end = time.monotonic() + timeout
        while True:
            reap()
            after = self.take()
            found = [f"{kind} {sign}: {item}" for kind in before
                     for sign, items in (("left behind", after[kind] - before[kind]),
                                         ("gone", before[kind] - after[kind]))
                     for item in sorted(items)]
            if not found or time.monotonic() > end:
                return found
            time.sleep(0.02)

    def clean(self):
        """Removes by force what a failed test has left."""
        for pid in descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        reap()
        for path in sorted(self._cgroups(), reverse=True):
            with contextlib.suppress(OSError):
                (pathlib.Path(path) / "cgroup.kill").write_text("1")
            with contextlib.suppress(OSError):
                os.rmdir(path)
        shutil.rmtree(self.root, ignore_errors=True)
        points = [line.split()[4] for line in
                  pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        for point in reversed(points):
            if point.startswith(self.directory + "/"):
                with contextlib.suppress(OSError):
                    unmount(point)


class Result:
    """What a command did: its exit code, and files that its container may still write to."""

    def __init__(self, argv, out, err, log):
        self.argv, self._out, self._err, self._log = argv, out, err, log
        self.code = None

    @property
    def raw(self):
        """Standard output as bytes."""
        return pathlib.Path(self._out).read_bytes()

    @property
    def out(self):
        """Standard output so far."""
        return self.raw.decode(errors="surrogateescape")

    @property
    def err(self):
        """Standard error so far."""
        return pathlib.Path(self._err).read_text(errors="surrogateescape")

    @property
    def log(self):
        """The records of the JSON log."""
        return [json.loads(line) for line in pathlib.Path(self._log).read_text().splitlines()]

    @property
    def error(self):
        """The one error record; anything else in the log fails the test."""
        records = self.log
        assert [r["level"] for r in records] == ["error"], f"{self}: log {records}"
        return records[0]

    def json(self):
        """Standard output as JSON."""
        return json.loads(self.out)

    def __str__(self):
        return (f"{' '.join(map(str, self.argv))}: exit code {self.code}\n"
                f"stdout: {self.out[-2000:]!r}\nstderr: {self.err[-2000:]}")


class Background:
    """A command that runs beside the test."""

    def __init__(self, process, result):
        self.process, self.result = process, result
        self.pid = process.pid
        _waited_for.add(self.pid)

    def wait(self, timeout=TIMEOUT):
        """Waits for its end and returns the Result."""
        end, pause = time.monotonic() + timeout, 0.0005
        while self.process.poll() is None:
            reap()
            if time.monotonic() > end:
                self.end()
                raise AssertionError(f"not finished after {timeout} s: {self.result}")
            time.sleep(pause)
            pause = min(2 * pause, 0.01)
        _waited_for.discard(self.pid)
        self.result.code = self.process.returncode
        return self.result

    def end(self):
        """Ends the command by force."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        _waited_for.discard(self.pid)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.end()


class Bundle:
    """A bundle on the disk; write() again after a change of SPEC."""

    def __init__(self, creel, path, rootfs, spec):
        self.creel, self.path, self.rootfs, self.spec = creel, path, rootfs, spec

    def write(self):
        """Writes config.json, and remembers the cgroup for the comparison."""
        path = (self.spec.get("linux") or {}).get("cgroupsPath") or ""
        if path.startswith("/"):
            self.creel.cgroups.add(path)
        bundles.make_bundle(self.path, self.spec, self.rootfs)
        return self

    def write_text(self, text):
        """Writes config.json as it is given, bytes or text."""
        self.path.mkdir(exist_ok=True)
        data = text if isinstance(text, bytes) else text.encode()
        (self.path / "config.json").write_bytes(data)
        return self


class Creel:
    """The binary with a state root of its own, in a directory of one test."""

    def __init__(self, binary, directory, programs):
        self.binary = str(binary)
        self.directory = pathlib.Path(directory)
        self.programs = programs
        self.root = self.directory / "state"
        self.names = set()      # ids
        self.cgroups = set()    # paths of cgroups that our documents name
        self.count = 0
        self.prefix = []        # words before the binary, as of setpriv
        self.options = []       # global options of every command

    def number(self):
        """A new number for file names."""
        self.count += 1
        return self.count

    def id(self, text="c"):
        """A new id, that the comparison of the host knows."""
        return self.known(f"{text}-{self.directory.name}-{self.number()}")

    def known(self, name):
        """Tells the comparison of the host about an id."""
        self.names.add(name)
        return name

    def environment(self, changes=None):
        """Our environment without what would change creel's behaviour; None removes a variable."""
        env = {k: v for k, v in os.environ.items() if k not in _CLEAN}
        for name, value in (changes or {}).items():
            env.pop(name, None)
            if value is not None:
                env[name] = str(value)
        return env

    def spawn(self, *words, env=None, log=False, stdin=subprocess.DEVNULL, stdout=None,
              stderr=None, root=True, **more):
        """Starts a command; its output goes to files, because containers keep it open."""
        n = self.number()
        out, err, logfile = (self.directory / f"{n}.{kind}" for kind in ("out", "err", "log"))
        argv = [*self.prefix, self.binary]
        if root:
            argv += ["--root", str(self.root)]
        argv += self.options
        if log:
            argv += ["--log", str(logfile), "--log-format", "json"]
        argv += map(str, words)
        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            for path in (out, err):
                path.chmod(0o666)
            with _spawning:
                process = subprocess.Popen(
                    argv, env=self.environment(env), stdin=stdin,
                    stdout=out_file if stdout is None else stdout,
                    stderr=err_file if stderr is None else stderr,
                    **{"cwd": self.directory, **more})
                return Background(process, Result(argv, out, err, logfile))

    def run(self, *words, timeout=TIMEOUT, data=None, **more):
        """Runs a command to its end; DATA is its standard input."""
        if data is None:
            return self.spawn(*words, **more).wait(timeout)
        with tempfile.TemporaryFile() as file:
            file.write(data if isinstance(data, bytes) else data.encode())
            file.seek(0)
            return self.spawn(*words, stdin=file, **more).wait(timeout)

    def ok(self, *words, **more):
        """Runs a command that has to succeed, and has to be silent on stderr."""
        result = self.run(*words, **more)
        assert result.code == 0, str(result)
        assert result.err == "", str(result)
        return result

    def fails(self, phrase, *words, code=1, **more):
        """Runs a command that has to fail with CODE and one error record with PHRASE."""
        result = self.run(*words, log=True, **more)
        assert result.code == code, str(result)
        assert phrase in result.error["msg"], f"{phrase!r} is not in {result.error}"
        assert result.err, f"silent failure: {result}"
        return result

    # Bundles

    def rootfs(self, owner=0):
        """A root filesystem of its own with the probe and busybox."""
        path = self.directory / f"rootfs-{self.number()}"
        bundles.make_rootfs(path, self.programs, owner)
        (path / "bin/sh").symlink_to("busybox")
        path.chmod(0o755)
        return path

    def bundle(self, *args, spec=None, rootfs=None, userns=False, rootless=False, **process):
        """A bundle that runs ARGS; further keywords are members of `process`."""
        if spec is None:
            spec = bundles.default_spec(userns=userns, rootless=rootless)
        spec = copy.deepcopy(spec)
        if args:
            spec["process"]["args"] = list(args)
        spec["process"].update(process)
        owner = MAPPED if userns else USER if rootless else 0
        path = self.directory / f"bundle-{self.number()}"
        return Bundle(self, path, rootfs or self.rootfs(owner), spec).write()

    def shell(self, script, **more):
        """A bundle that runs a script of busybox."""
        return self.bundle("/bin/busybox", "sh", "-c", script, **more)

    # Commands

    def run_bundle(self, bundle, *options, name=None, **more):
        """`run` in the foreground."""
        return self.run("run", "--bundle", bundle.path, *options, name or self.id(), **more)

    def probe(self, *sections, change=None, run=(), env=None, command=None, **more):
        """Runs the probe and returns its report, a dict of SECTIONS.  CHANGE(spec) alters it."""
        bundle = self.bundle("/bin/probe", "sections", ",".join(sections), **more)
        if change:
            change(bundle.spec)
            bundle.write()
        result = self.run_bundle(bundle, *run, env=env, **(command or {}))
        assert result.code == 0, str(result)
        assert result.err == "", str(result)
        return result.json()

    def create(self, bundle, *options, name=None, **more):
        """`create`, which has to succeed; returns the id."""
        name = name or self.id()
        self.ok("create", "--bundle", bundle.path, *options, name, **more)
        return name

    def state(self, name):
        """The state object."""
        return self.ok("state", name).json()

    def status(self, name):
        """Its status."""
        return self.state(name)["status"]

    def wait_status(self, name, status):
        """Waits until the container has STATUS."""
        wait_until(lambda: self.status(name) == status, f"{name} becomes {status}")

    def ids(self):
        """What `list --quiet` says."""
        return self.ok("list", "--quiet").out.split()

    @contextlib.contextmanager
    def running(self, bundle=None, *options, started=True, **more):
        """A container while the block lasts; it sleeps unless BUNDLE says otherwise."""
        name = self.create(bundle or self.bundle("/bin/probe", "sleep"), *options, **more)
        try:
            if started:
                self.ok("start", name)
            yield name
        finally:
            self.ok("delete", "--force", name)
