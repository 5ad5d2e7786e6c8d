"""The world of an attack: a root filesystem that is the attacker's, a canary tree that is the host's,
a runtime between the two, and the oracles that tell whether the attack got through.

Nothing here needs pytest or creel: the same attacks run against other runtimes, as a control.
"""

import array
import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))

import bundles  # noqa: E402

TIMEOUT = 60
STRONG = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER", "CAP_SYS_PTRACE",
          "CAP_SETUID", "CAP_SETGID", "CAP_MKNOD", "CAP_KILL"]
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), what)


def mount(source, target, kind=None, flags=0, data=None):
    """mount(2)."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), kind and kind.encode(),
                       ctypes.c_ulong(flags), data and data.encode()), f"mount {target}")


def unmount(target):
    """umount2(2), lazily."""
    _check(_libc.umount2(os.fsencode(target), 2), f"umount {target}")


def set_apart():
    """Gives this process mounts of its own, and the orphans of its children."""
    _libc.prctl(36, 1, 0, 0, 0)
    _check(_libc.unshare(0x20000), "unshare")
    mount("none", "/", None, 0x4000 | 0x40000)


def digest(tree):
    """O1: everything about a tree but its access times, as a dict from path to facts."""
    facts = {}
    for top, directories, files in os.walk(tree):
        for path in [top] + [os.path.join(top, name) for name in directories + files]:
            info = os.lstat(path)
            what = None
            if stat.S_ISLNK(info.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                what = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
            names = os.listxattr(path, follow_symlinks=False)
            xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
            facts[path] = (oct(info.st_mode), info.st_uid, info.st_gid, info.st_size,
                           info.st_mtime_ns, info.st_ino, info.st_rdev, what, xattrs)
    return facts


def changes(before, after):
    """Sentences about what has changed between two dicts."""
    return ([f"{path} is new" for path in after if path not in before] +
            [f"{path} is gone" for path in before if path not in after] +
            [f"{path} changed: {before[path]} -> {after[path]}" for path in before
             if path in after and before[path] != after[path]])


def remove_tree(path):
    """Removes a tree, however deep: a link with thousands of components is made into directories."""
    try:
        shutil.rmtree(path, ignore_errors=True)
    except RecursionError:
        subprocess.run(["rm", "-rf", path], check=True)


def cgroup_root():
    """The mount point of cgroup2, or None."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            return pathlib.Path(line.split()[1])
    return None


def build(directory):
    """The programs of a hostile root filesystem, from path inside to path outside."""
    directory = pathlib.Path(directory)
    directory.mkdir(exist_ok=True)
    payload = bundles.compile_static(directory / "payload", TESTS / "attacks" / "payload.c")
    return {"/bin/payload": payload, "/bin/probe": bundles.build_probe(directory),
            "/bin/busybox": shutil.which("busybox")}


def deny(*numbers):
    """A preexec_fn that makes system calls fail with ENOSYS, as on an older kernel."""
    code = [struct.pack("HBBI", 0x20, 0, 0, 0)]
    for number in numbers:
        code += [struct.pack("HBBI", 0x15, 0, 1, number),
                 struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | 38)]
    code.append(struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000))
    program = ctypes.create_string_buffer(b"".join(code))
    header = struct.pack("HxxxxxxP", len(code), ctypes.addressof(program))

    def install(_keep=program):
        _check(_libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0), "seccomp")
    return install


class Result:
    """What a command of the runtime did."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return f"exit code {self.code}, stdout {self.out[-400:]!r}, stderr {self.err[-400:]!r}"


class World:
    """One attack's bundle, canary and runtime.  PLANT(world, words) may stand in for the runtime:
    then nothing is started, and what it does is the success that the oracles have to see."""

    def __init__(self, runtime, directory, programs, plant=None):
        self.runtime = str(runtime)
        self.plant = plant
        self.programs = programs
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(mode=0o755)
        self.state = self.directory / "state"
        self.rootfs = bundles.make_rootfs(self.directory / "bundle" / "rootfs", programs)
        (self.rootfs / "bin/sh").symlink_to("busybox")
        self.bundle = self.directory / "bundle"
        self.secret = secrets.token_hex(16)
        self.canary = self.directory / "canary"
        (self.canary / "d").mkdir(parents=True)
        for name in ("secret", "ptmx", "null", "console", "f", "d/f"):
            (self.canary / name).write_text(f"{self.secret}\n")
        (self.canary / "link").symlink_to("f")
        self.before = None
        self.outputs = []
        self.found = []
        self.results = []
        self.names = []
        self.planted_pid = None
        self.deleted = None
        self.caller = None
        self._processes = []

    # What attacks are made of

    def spec(self, *args, terminal=False, userns=False, **process):
        """A careless engine's configuration: few namespaces, many rights, no mounts."""
        spec = bundles.default_spec(args or ("/bin/busybox", "true"), userns=userns,
                                    terminal=terminal)
        kinds = ["pid", "ipc", "uts", "mount"] + (["user"] if userns else [])
        spec["linux"]["namespaces"] = [{"type": kind} for kind in kinds]
        for name in ("maskedPaths", "readonlyPaths", "resources"):
            spec["linux"].pop(name, None)
        spec["mounts"] = []
        spec["root"]["readonly"] = False
        spec["process"]["noNewPrivileges"] = False
        spec["process"]["capabilities"] = {name: list(STRONG) for name in
                                           ("bounding", "effective", "permitted")}
        spec["process"].update(process)
        if userns:
            for path in [self.rootfs, *self.rootfs.rglob("*")]:
                os.chown(path, 100000, 100000, follow_symlinks=False)
        return spec

    def proc(self, *options):
        """The entry of a proc mount."""
        return {"destination": "/proc", "type": "proc", "source": "proc", "options": list(options)}

    def bind(self, source, destination, *options):
        """The entry of a bind mount."""
        return {"destination": destination, "type": "bind", "source": str(source),
                "options": ["bind", *options]}

    def link(self, path, target):
        """Replaces a path of the root filesystem by a symbolic link."""
        path = self.rootfs / path.lstrip("/")
        self.remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return path

    def remove(self, path):
        """Removes whatever PATH is."""
        path = pathlib.Path(path)
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)

    def write(self, spec):
        """Writes config.json."""
        bundles.make_bundle(self.bundle, spec, self.rootfs)

    def exchanger(self, one, other):
        """T2: a process that exchanges two paths as fast as it can."""
        if not self.plant:
            self.spawn([str(self.programs["/bin/payload"]), "exchange", str(one), str(other)])

    def spawn(self, argv, **more):
        """Starts a helper, which ends with the attack."""
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **more)
        self._processes.append(process)
        return process

    def stop(self):
        """Ends the helpers of the attack."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    # The runtime

    def arm(self):
        """Takes the picture that check() compares with; the first command does it."""
        if self.before is None:
            self.before = {"canary": digest(self.canary), "mounts": self._mounts(),
                           "host": self._host_mounts()}

    def name(self):
        """A new id."""
        self.names.append(f"a-{os.getpid()}-{self.directory.name}-{len(self.names)}")
        return self.names[-1]

    def command(self, *words, fds=(), env=None, timeout=TIMEOUT, stdin=None, data=None,
                preexec=None, stdout=None, cwd=None, prefix=(), options=()):
        """Runs one command of the runtime; a hang or a crash is a hit."""
        self.arm()
        if self.plant:
            result = Result(0, self.plant(self, words) or "", "")
            self.outputs.append(result.out)
            self.results.append(result)
            return result
        argv = [*prefix, self.runtime, "--root", str(self.state), *options, *map(str, words)]
        out, err = (open(self.directory / name, "w+b") for name in ("out", "err"))
        with out, err:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE if data is not None else stdin or subprocess.DEVNULL,
                stdout=stdout or out, stderr=err, pass_fds=fds, env=env, preexec_fn=preexec,
                cwd=cwd or self.directory)
            try:
                process.communicate(data.encode() if data is not None else None, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.found.append(f"O7: {words[0]} hangs")
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        result = Result(process.returncode, *texts)
        if result.code < 0:
            self.found.append(f"O7: {words[0]} died of signal {-result.code}: {result.err[-200:]}")
        self.outputs += texts
        self.results.append(result)
        return result

    def run(self, spec=None, *options, name=None, **more):
        """`run` in the foreground."""
        if spec is not None:
            self.write(spec)
        name = name or self.name()
        result = self.command("run", "--bundle", self.bundle, *options, name, **more)
        if result.code != 0:
            self.delete(name)
        return result

    def create(self, spec, *options, **more):
        """`create`; returns (id, Result)."""
        self.write(spec)
        name = self.name()
        return name, self.command("create", "--bundle", self.bundle, *options, name, **more)

    def delete(self, name):
        """`delete --force`, whatever it says; what it says is kept for the report of a leak."""
        if not self.plant:
            self.deleted = subprocess.run(
                [self.runtime, "--root", self.state, "delete", "--force", name],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)

    @contextlib.contextmanager
    def running(self, spec=None, *options, **more):
        """The id of a container that runs while the block lasts; None when it was refused."""
        if spec is None:
            spec = self.spec("/bin/probe", "sleep")
            spec["mounts"] = [self.proc()]
        name, result = self.create(spec, *options, **more)
        if result.code == 0:
            result = self.command("start", name)
        try:
            yield name if result.code == 0 else None
        finally:
            self.delete(name)

    def pid(self, name):
        """The pid of a container's init."""
        if self.plant:
            return self.planted_pid or os.getpid()
        out = subprocess.run([self.runtime, "--root", self.state, "state", name],
                             capture_output=True, timeout=TIMEOUT, check=True).stdout
        return json.loads(out)["pid"]

    # The oracles

    def hit(self, text):
        """The attack itself has seen a success."""
        self.found.append(text)

    def _mounts(self):
        return {" ".join(line.split()[1:]): "" for line in
                pathlib.Path("/proc/self/mountinfo").read_text().splitlines()}

    def _host_mounts(self):
        with contextlib.suppress(OSError):
            return {line: "" for line in pathlib.Path("/proc/1/mountinfo").read_text().splitlines()
                    if str(self.directory.parent) in line}
        return {}

    def _leaks(self):
        """O6: state, cgroups and processes of our containers."""
        leaks = [f"state of {name}" for name in self.names if (self.state / name).exists()]
        top = cgroup_root()
        names = set(self.names)
        for path, directories, _ in os.walk(top or "/nonexistent"):
            leaks += [f"cgroup {path}/{d}" for d in directories
                      if not names.isdisjoint((d, d.removeprefix("creel-")))]
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                if not entry.isdigit() or int(entry) == os.getpid():
                    continue
                text = pathlib.Path(f"/proc/{entry}/stat").read_text()
                fields = text[text.rindex(")") + 2:].split()
                if int(fields[1]) == os.getpid() and fields[0] not in "ZX":
                    line = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
                    if str(self.directory).encode() in line or b"creel" in line:
                        leaks.append(f"process {entry}: {line!r}")
        return leaks

    def check(self, leaks=True):
        """All hits: those of the attack, and O1, O2, O3 and O6."""
        self.stop()
        self.arm()
        found = list(dict.fromkeys(self.found))
        found += [f"O1: {text}" for text in
                  changes(self.before["canary"], digest(self.canary))]
        found += [f"O2: {text}" for text in changes(self.before["mounts"], self._mounts())]
        found += [f"O2: {text}" for text in changes(self.before["host"], self._host_mounts())]
        if any(self.secret in text for text in self.outputs):
            found.append("O3: the secret has come out")
        end = time.monotonic() + (2 if found else 30)
        while leaks and (left := self._leaks()) and time.monotonic() < end:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass
            time.sleep(0.01)
        said = f" after {self.deleted.stderr!r}" if self.deleted else ""
        return found + ([f"O6: {text}{said}" for text in left] if leaks else [])

    def close(self):
        """Removes everything."""
        self.stop()
        for name in self.names:
            self.delete(name)
        points = [line.split()[4] for line in
                  pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        for point in reversed(points):
            if point.startswith(f"{self.directory}/"):
                with contextlib.suppress(OSError):
                    unmount(point)
        remove_tree(self.directory)


# Successes to plant: each takes the place of the runtime, and does what a broken one would do.

def says(text):
    """The container prints TEXT."""
    return lambda world, words: text


def touches(name="f", text="changed"):
    """A file of the canary changes."""
    def plant(world, _words):
        path = world.canary / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return plant


def leaks_secret(world, _words):
    """The container prints the secret."""
    return world.secret


def mounts_there(world, _words):
    """A mount appears in the namespace of the host."""
    mount("planted", world.canary / "d", "tmpfs")


def both(*plants):
    """Several at once."""
    def plant(world, words):
        return "".join(text for text in [one(world, words) for one in plants] if text)
    return plant


class Console:
    """A console socket that takes the master and lets nobody wait."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.listener.settimeout(20)

    def receive(self):
        """The master, or None when none has come."""
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return None
        with connection:
            connection.settimeout(20)
            fds = array.array("i")
            with contextlib.suppress(OSError):
                _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_LEN(4))
                for _, kind, data in ancillary:
                    if kind == socket.SCM_RIGHTS:
                        fds.frombytes(data[:4])
            return fds[0] if fds else None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()
        os.unlink(self.path)


# The register of attacks.

ATTACKS = []


class Attack:
    """FUNCTION(world) carries it out.  PEERS are runtimes of Debian trixie that it succeeds against;
    PLANT is a success for the oracles to see, where no peer at hand is vulnerable."""

    def __init__(self, entry, function, peers, plant, arguments, limit=None):
        self.entry, self.function, self.peers, self.plant = entry, function, peers, plant
        self.limit = limit      # why creel does not withstand it; docs/SECURITY.md has it too
        self.arguments = arguments
        tail = "-".join(str(value).strip("/").replace("/", ".") for value in arguments.values())
        self.id = f"{entry}-{function.__name__}" + (f"-{tail}" if tail else "")

    def run(self, world, leaks=True):
        """Carries it out; returns the hits."""
        self.function(world, **self.arguments)
        return world.check(leaks)


def attack(entry, peers=(), plant=None, limit=None, **variants):
    """Registers an attack, once per value of its one variant keyword."""
    def register(function):
        assert peers or plant, f"{function.__name__} has no control"
        assert entry.split()[0] in function.__doc__, f"{function.__name__}: {entry}"
        values = next(iter(variants.items())) if variants else None
        for value in values[1] if values else [None]:
            given = peers
            if isinstance(peers, dict):
                given = peers.get(value, ())
            ATTACKS.append(Attack(entry, function, tuple(given), plant,
                                  {values[0]: value} if values else {}, limit))
        return function
    return register
