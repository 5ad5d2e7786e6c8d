"""Attacks with descriptors, working directories, the runtime's own binary, terminals and sockets."""

import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import socket
import stat
import time

import world as w
from world import attack

WALK = "/bin/payload"


def _walked(world, result):
    if "(unreachable)" in result.out or "reached" in result.out:
        world.hit(f"outside of the root: {result}")


@attack("W-05", plant=w.leaks_secret, mount_proc=["with-proc", "without-proc"])
def cwd_magic(world, mount_proc):
    """W-05, A-15 (CVE-2024-21626): the working directory is /proc/self/fd/N, for N to 127."""
    spec = world.spec(WALK, "walk", str(world.canary / "secret"))
    spec["mounts"] = [world.proc()] if mount_proc == "with-proc" else []
    for number in range(128):
        spec["process"]["cwd"] = f"/proc/self/fd/{number}"
        world.write(spec)
        _walked(world, world.run())


@attack("A-15", plant=w.leaks_secret)
def cwd_magic_exec(world):
    """A-15, W-05: the same through exec --cwd, and with a link of the image to it."""
    with world.running() as name:
        for number in range(64):
            _walked(world, world.command("exec", "--cwd", f"/proc/self/fd/{number}", name, WALK,
                                         "walk", world.canary / "secret"))
            world.link(f"/w{number}", f"/proc/self/fd/{number}")
            _walked(world, world.command("exec", "--cwd", f"/w{number}", name, WALK,
                                         "walk", world.canary / "secret"))


@attack("A-15", plant=w.leaks_secret)
def cwd_race(world):
    """A-15, W-05: exec --cwd into a directory that the container exchanges with magic links."""
    (world.rootfs / "w").mkdir()
    (world.rootfs / "v").symlink_to("/proc/self/fd/7")
    with world.running() as name:
        world.exchanger(world.rootfs / "w", world.rootfs / "v")
        for _ in range(300):
            _walked(world, world.command("exec", "--cwd", "/w", name, WALK, "walk",
                                         world.canary / "secret"))
        world.stop()


@attack("A-15", plant=w.leaks_secret)
def program_magic(world):
    """A-15: args[0] is a path through /proc/self/fd/N to a program of the host."""
    tool = world.canary / "tool"
    shutil.copy(world.programs["/bin/busybox"], tool)
    spec = world.spec()
    spec["mounts"] = [world.proc()]
    for number in range(48):
        for path in (f"/proc/self/fd/{number}/../../..{tool}", f"/proc/self/fd/{number}"):
            spec["process"]["args"] = [path, "cat", str(world.canary / "secret")]
            world.write(spec)
            _walked(world, world.run())


@attack("A-15", plant=w.leaks_secret, command=["run", "exec"])
def interpreter_magic(world, command):
    """A-15, W-05: the "#!" line names /proc/self/fd/N, which the kernel follows before it closes what is close-on-exec."""
    shutil.copy(world.programs["/bin/busybox"], world.canary / "echo")
    paths = []
    for number in range(3, 64):
        for up in ("..", "../..", "../../.."):
            paths.append(f"/script-{len(paths)}")
            script = world.rootfs / paths[-1][1:]
            script.write_text(f"#!/proc/self/fd/{number}/{up}/canary/echo reached\n")
            script.chmod(0o755)
    if command == "exec":
        with world.running() as name:
            for path in paths:
                _walked(world, world.command("exec", name, path))
        return
    spec = world.spec()
    spec["mounts"] = [world.proc(), {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}]
    # The runtime's procfs shows processes outside, and CAP_SYS_PTRACE lets one through their links.
    for names in spec["process"]["capabilities"].values():
        names.append("CAP_SYS_PTRACE")
    for number in range(3, 24):
        paths.append(f"/script-{len(paths)}")
        script = world.rootfs / paths[-1][1:]
        script.write_text(f"#!/proc/self/fd/{number}/{os.getpid()}/root{world.canary}/echo reached\n")
        script.chmod(0o755)
    for path in paths:
        spec["process"]["args"] = [path]
        world.write(spec)
        _walked(world, world.run())


def _as(fd, number):
    """How a command gets our FD as NUMBER, which may be in use here."""
    return {"fds": (fd,), "prefix": ("/bin/bash", "-c", f'exec "$@" {number}<&{fd}', "bash")}


@attack("W-06", plant=w.leaks_secret, kind=["directory", "path", "file"])
def caller_leaks(world, kind):
    """W-06, A-15: the caller has left a descriptor of the host open."""
    flags = {"directory": os.O_RDONLY, "path": os.O_PATH, "file": os.O_RDONLY}[kind]
    fd = os.open(world.canary / "secret" if kind == "file" else world.canary, flags)
    spec = world.spec("/bin/busybox", "sh", "-c",
                      "cat /proc/1/fd/9 /proc/1/fd/9/secret /proc/self/fd/9/secret <&9; "
                      "cat /proc/self/fd/9; true")
    spec["mounts"] = [world.proc()]
    leak = _as(fd, 9)
    world.run(spec, **leak)
    with world.running() as name:
        world.command("exec", name, *spec["process"]["args"], **leak)
    os.close(fd)


@attack("W-06", plant=w.leaks_secret, command=["run", "exec"])
def preserved_directory(world, command):
    """W-06: --preserve-fds would pass a directory of the host."""
    fd = os.open(world.canary, os.O_RDONLY)
    leak = _as(fd, 3)
    spec = world.spec("/bin/busybox", "sh", "-c", "cat /proc/self/fd/3/secret; true")
    spec["mounts"] = [world.proc()]
    if command == "run":
        world.run(spec, "--preserve-fds", "1", **leak)
    else:
        with world.running() as name:
            world.command("exec", "--preserve-fds", "1", name, *spec["process"]["args"], **leak)
    os.close(fd)


@attack("A-02", plant=w.leaks_secret, who=["exec", "create"])
def snoop(world, who):
    """A-02, A-40 (CVE-2016-9962): without CAP_SYS_PTRACE, all processes that enter are looked into."""
    _snoop(world, who, without="CAP_SYS_PTRACE")


@attack("A-02", peers={"exec": ["crun"], "create": ["runc", "crun"]}, plant=w.leaks_secret,
        who=["exec", "create"])
def snoop_shared_pid(world, who):
    """A-02 (CVE-2016-9962): with CAP_SYS_PTRACE, others come into the pid namespace."""
    _snoop(world, who)


@attack("A-02", plant=w.leaks_secret, who=["exec", "create"])
def snoop_shared_pid_userns(world, who):
    """A-02 (CVE-2016-9962): the same in a user namespace that they share."""
    _snoop(world, who, userns=True)


def _snoop(world, who, userns=False, without=None):
    spec = world.spec(WALK, "snoop", str(world.canary / "secret"), "2", userns=userns)
    spec["mounts"] = [world.proc()]
    for names in spec["process"]["capabilities"].values():
        names.append("CAP_SYS_CHROOT")
        if without:
            names.remove(without)
    world.write(spec)
    name, result = world.create(spec, stdout=open(world.directory / "snooped", "wb"))
    if result.code == 0:
        world.command("start", name)
        end = time.monotonic() + 2
        while time.monotonic() < end and not world.plant:
            if who == "exec":
                world.command("exec", name, "/bin/busybox", "true",
                              env={"HOSTSECRET": world.secret})
            else:
                _join(world, name, spec["process"]["capabilities"], userns)
    world.delete(name)
    world.outputs.append((world.directory / "snooped").read_text(errors="replace"))
    if "reached" in world.outputs[-1]:
        world.hit(f"the tracer has come out: {world.outputs[-1][:300]}")


def _join(world, name, capabilities=None, userns=False):
    """A second container in the pid namespace of the first."""
    spec = world.spec(userns=userns, **({"capabilities": capabilities} if capabilities else {}))
    for namespace in spec["linux"]["namespaces"]:
        if namespace["type"] in ("pid", "user"):
            namespace["path"] = f"/proc/{world.pid(name)}/ns/{namespace['type']}"
    for member in ("uidMappings", "gidMappings"):
        spec["linux"].pop(member, None)
    spec["mounts"] = [world.proc()]
    world.run(spec, env={"HOSTSECRET": world.secret})


@attack("A-40", plant=w.says('{"fds": [{"fd": 0}, {"fd": 1}, {"fd": 2}, {"fd": 9}]}'),
        command=["run", "exec"])
def inventory(world, command):
    """A-40 (CVE-2016-8649): what is open in the container's processes is 0, 1 and 2."""
    args = ("/bin/busybox", "ls", "/proc/self/fd")
    if command == "run":
        spec = world.spec(*args)
        spec["mounts"] = [world.proc()]
        result = world.run(spec)
    else:
        with world.running() as name:
            result = world.command("exec", name, *args)
    if result.out.split() != ["0", "1", "2", "3"]:      # 3 is the directory that ls reads
        world.hit(f"open descriptors: {result}")


def _traceable(world, _words):
    process = world.spawn(["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "sleep", "900"])
    world.planted_pid = process.pid
    end = time.monotonic() + 30
    while os.stat(f"/proc/{process.pid}/mem").st_uid != 1000 and time.monotonic() < end:
        time.sleep(0.01)


@attack("A-50", plant=_traceable)
def dumpable(world):
    """A-50 (CVE-2016-8659): while init waits for start, its user may not trace it."""
    spec = world.spec("/bin/probe", "sleep", user={"uid": 1000, "gid": 1000})
    name, result = world.create(spec)
    if result.code == 0:
        # The kernel gives /proc/PID of what is not dumpable to root.
        if os.stat(f"/proc/{world.pid(name)}/mem").st_uid == 1000:
            world.hit("init belongs to the user before it runs the user's program")
    world.delete(name)


def _private_binary(world):
    """A copy of the runtime that an attack may try to change, in the canary."""
    copy = world.canary / "runtime"
    if not copy.exists():
        shutil.copy(world.runtime, copy)
        copy.chmod(0o755)
        world.runtime = str(copy)


EXE = w.touches("runtime", "overwritten")


@attack("W-10", plant=EXE, shape=["shebang", "link", "loader"])
def exe_entrypoint(world, shape):
    """W-10, A-03, A-45 (CVE-2019-5736): the entry point is /proc/self/exe, in three shapes."""
    _private_binary(world)
    evil = world.rootfs / "bin/evil"
    if shape == "shebang":
        evil.write_text("#!/proc/self/exe\n")
        evil.chmod(0o755)
    elif shape == "link":
        evil.symlink_to("/proc/self/exe")
    else:
        evil.symlink_to("/proc/self/exe")
        for name in ("lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"):
            target = world.rootfs / name
            target.parent.mkdir(exist_ok=True)
            shutil.copy(world.programs["/bin/payload"], target)
    spec = world.spec("/bin/payload", "grab", "1")
    spec["mounts"] = [world.proc()]
    with world.running(spec) as name:
        for _ in range(20):
            world.command("exec", name, "/bin/evil")
    spec["process"]["args"] = ["/bin/evil"]
    world.run(spec)


@attack("W-10", plant=EXE, command=["exec", "create"])
def exe_grab(world, command):
    """W-10, A-03 (CVE-2019-5736): a process of the container grabs every /proc/PID/exe it sees."""
    _private_binary(world)
    spec = world.spec("/bin/payload", "grab", "2")
    spec["mounts"] = [world.proc()]
    with world.running(spec) as name:
        end = time.monotonic() + 2.2
        while time.monotonic() < end and not world.plant:
            if command == "exec":
                world.command("exec", name, "/bin/busybox", "true")
            else:
                _join(world, name)
        time.sleep(0.1)


# Hooks

DUMP = ("#!/bin/sh\n{ env; echo cwd=$(pwd); for f in /proc/self/fd/*; do "
        "echo fd ${f##*/} $(readlink $f); done; } >>%s\n")


@attack("W-14", peers=("runc",), plant=w.touches("dump", "LD_PRELOAD=/x.so"))
def hook_environment(world):
    """W-14, B-10 (CVE-2025-23266): a createContainer hook gets the container's environment."""
    dump = _hooked(world, ["createContainer"])
    if "/x.so" in dump:
        world.hit("a hook runs with the container's LD_PRELOAD")
    _forgive(world, "dump")


@attack("W-14", peers=("runc", "crun"),
        plant=w.touches("dump", "HOSTSECRET"))
def hook_host_environment(world):
    """W-14, B-10: hooks get the caller's environment."""
    dump = _hooked(world, ["prestart", "createRuntime", "poststart", "poststop"])
    if "HOSTSECRET" in dump:
        world.hit("a hook runs with the caller's environment")
    _forgive(world, "dump")


@attack("W-14", plant=w.touches("dump", "fd 9 /x\n"))
def hook_descriptors(world):
    """W-14, B-10: hooks inherit nothing but 0, 1 and 2, and do not stand in the root filesystem."""
    dump = _hooked(world, ["prestart", "createRuntime", "createContainer", "poststart", "poststop"])
    for line in dump.splitlines():
        words = line.split()
        if words[:1] == ["fd"] and words[1].isdigit() and int(words[1]) > 2 and (
                len(words) > 2 and "/proc/" not in words[2] and "hook.sh" not in words[2]):
            world.hit(f"a hook has {line}")
        if line.startswith("cwd=") and str(world.rootfs) in line:
            world.hit(f"a hook runs in the root filesystem: {line}")
    _forgive(world, "dump")


def _hooked(world, kinds):
    dump = world.canary / "dump"
    script = world.directory / "hook.sh"
    script.write_text(DUMP % dump)
    script.chmod(0o755)
    spec = world.spec()
    spec["process"]["env"] += ["LD_PRELOAD=/x.so", "CONTAINERSECRET=1"]
    spec["hooks"] = {kind: [{"path": str(script)}] for kind in kinds}
    world.run(spec, env={**os.environ, "HOSTSECRET": "1"})
    text = dump.read_text() if dump.exists() else ""
    if not text:
        world.hit("no hook has run")
    return text


def _forgive(world, name):
    """What the attack's own hooks write into the canary is no hit."""
    if not world.plant:
        world.remove(world.canary / name)
        facts = w.digest(world.canary)
        top = str(world.canary)
        world.before["canary"][top] = facts[top]


# Terminals

class _Caller:
    """A command that runs with our pty as its controlling terminal."""

    def __init__(self):
        self.master, self.slave = os.openpty()

    def control(self):
        os.setsid()
        fcntl.ioctl(0, 0x540E, 0)

    def queue(self):
        """What lies in the input queue of the terminal."""
        text = b""
        os.set_blocking(self.slave, False)
        while select.select([self.slave], [], [], 0.1)[0]:
            text += os.read(self.slave, 4096)
        return text

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def _types(world, _words):
    os.write(world.caller.master, b"injected\n")


@attack("W-16", plant=_types, command=["exec", "run"])
def inject_input(world, command):
    """W-16, A-41, A-51 (CVE-2016-10124, CVE-2017-5226): TIOCSTI into the terminal of the caller."""
    caller = world.caller = _Caller()
    spec = world.spec("/bin/payload", "inject")
    # CAP_SYS_ADMIN allows TIOCSTI into any terminal that is passed on: that is the engine's gift.
    spec["process"]["capabilities"] = {}
    spec["mounts"] = [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []}]
    stdin = caller.slave
    if command == "run":
        result = world.run(spec, stdin=stdin, preexec=caller.control)
    else:
        spec["process"]["args"] = ["/bin/probe", "sleep"]
        with world.running(spec) as name:
            result = world.command("exec", name, "/bin/payload", "inject", stdin=stdin,
                                   preexec=caller.control)
    if b"injected" in caller.queue() or "/dev/tty opens" in result.out:
        world.hit(f"the caller's terminal was reached: {result}")
    caller.close()


# Files and sockets beside the container

@attack("B-09", plant=w.touches("f", "123"), kind=["link", "dangling", "fifo"])
def pid_file(world, kind):
    """B-09 (CVE-2026-53489): the pid file's name is a link to a file of the host."""
    path = world.directory / "pid"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(world.canary / ("f" if kind == "link" else "new"))
    world.run(world.spec(), "--pid-file", path)


@attack("B-09", plant=w.touches("f", "log"), kind=["link", "dangling"])
def log_file(world, kind):
    """B-09 (CVE-2025-9566): the log's name is a link to a file of the host."""
    path = world.directory / "log"
    path.symlink_to(world.canary / ("f" if kind == "link" else "new"))
    world.write(world.spec("/bin/no-such-program"))
    world.command("run", "--bundle", world.bundle, world.name(),
                  options=("--log", path, "--log-format", "json"))


@attack("B-09", plant=w.says("raw \u001b[2J"))
def log_escapes(world):
    """B-09, H-54: names of the image in messages never reach a terminal or a log as they are."""
    name = "\u001b[2J\u001b]0;owned\u0007\n{\"level\":\"info\"}"
    spec = world.spec(f"/bin/{name}")
    spec["mounts"] = [{"destination": f"/{name}", "type": f"t{name}", "source": name,
                       "options": [name]}]
    log = world.directory / "log"
    world.write(spec)
    for options in ((), ("--log", log, "--log-format", "json")):
        result = world.command("run", "--bundle", world.bundle, world.name(), options=options)
        if "\u001b" in result.err + result.out:
            world.hit(f"an escape sequence came out raw: {result}")
    if log.exists():
        text = log.read_text()
        if "\u001b" in text:
            world.hit("an escape sequence is in the log")
        for line in text.splitlines():
            json.loads(line)


def _listens(world, _words):
    world.caller = socket.socket(socket.AF_UNIX)
    world.caller.bind(f"\0creel-planted-{os.getpid()}")


@attack("B-01", plant=_listens)
def abstract_sockets(world):
    """B-01 (CVE-2020-15257): a container that waits or runs has no abstract socket of the runtime."""
    def sockets():
        return {line.split()[-1] for line in
                pathlib.Path("/proc/net/unix").read_text().splitlines() if "@" in line.split()[-1]}
    before = sockets()
    spec = world.spec("/bin/probe", "sleep")
    name, _ = world.create(spec)
    if sockets() - before:
        world.hit(f"abstract sockets: {sockets() - before}")
    world.delete(name)
    if world.caller:
        world.caller.close()


def _careless_state(world, _words):
    world.state.mkdir()
    world.state.chmod(0o755)


@attack("B-02", plant=_careless_state)
def state_modes(world):
    """B-02 (CVE-2021-41103): nothing below the state root is for others, whatever the umask."""
    name, _ = world.create(world.spec("/bin/probe", "sleep"), preexec=lambda: os.umask(0))
    for path in [world.state, *world.state.rglob("*")]:
        if not path.is_symlink() and stat.S_IMODE(path.lstat().st_mode) & 0o077:
            world.hit(f"{path} has mode {oct(path.lstat().st_mode)}")
    world.delete(name)


@attack("B-02", plant=w.touches("x"), kind=["writable", "owner", "link"])
def state_root(world, kind):
    """B-02, H-49 (CVE-2024-25621): a state root that others own or can write is refused."""
    if kind == "link":
        world.state.symlink_to(world.canary)
    else:
        world.state.mkdir(mode=0o700)
        if kind == "owner":
            os.chown(world.state, 1000, 1000)
        else:
            world.state.chmod(0o777)
    result = world.run(world.spec())
    if result.code == 0:
        world.hit(f"a state root that is not ours alone was used: {kind}")
    world.remove(world.state)


@attack("B-02", plant=w.leaks_secret)
def planted_state(world):
    """B-02, H-48: a container's state directory is a link to another, or its file is hostile."""
    name, _ = world.create(world.spec("/bin/probe", "sleep"))
    if not world.plant:
        (world.canary / "state.json").write_text('{"id": "x", "pid": 1, "status": "running"}')
        world.before = None
        (world.state / "planted").symlink_to(world.canary)
        world.arm()
    for words in (("state", "planted"), ("kill", "planted", "KILL"), ("delete", "--force", "planted"),
                  ("list",)):
        world.command(*words)
    world.delete(name)
    if not world.plant:
        (world.state / "planted").unlink(missing_ok=True)


def _starts(world, _words):
    (world.rootfs / "tmp/started").touch()


@attack("A-46", plant=_starts)
def hostile_start(world):
    """A-46: rubbish on the start socket starts nothing."""
    spec = world.spec("/bin/busybox", "touch", "/tmp/started")
    name, _ = world.create(spec)
    for path in [] if world.plant else world.state.rglob("*.sock"):
        for data in (b"", b"\0" * 65536, b"\xff" * 700, b"START", os.urandom(900)):
            for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
                with socket.socket(socket.AF_UNIX, kind) as peer, contextlib.suppress(OSError):
                    peer.settimeout(0.2)
                    os.chdir(path.parent)
                    peer.connect(path.name)
                    peer.send(data)
        os.chdir("/")
    time.sleep(0.05)
    if (world.rootfs / "tmp/started").exists():
        world.hit("rubbish has started the container")
    world.delete(name)


@attack("A-46", plant=w.touches())
def console_peer(world):
    """A-46, H-31: what listens on the console socket is slow, closes, or is no socket."""
    spec = world.spec("/bin/busybox", "true", terminal=True)
    path = world.canary / "f"
    world.create(spec, "--console-socket", path)
    world.create(spec, "--console-socket", world.canary / ("x" * 200))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(world.directory / "s"))
        listener.listen(1)
        name, _ = world.create(spec, "--console-socket", world.directory / "s")
        world.delete(name)


@attack("A-31", plant=w.touches("owned"))
def helpers_by_path(world):
    """A-31 (CVE-2026-84042): newuidmap and its like lie in a hostile PATH and in the image."""
    tools = world.directory / "tools"
    tools.mkdir()
    for name in ("newuidmap", "newgidmap", "criu", "systemctl", "runc", "sh", "mount", "passt"):
        for place in (tools, world.rootfs / "bin", world.rootfs / "usr/bin"):
            (place / name).unlink(missing_ok=True)
            (place / name).write_text(f"#!/bin/busybox sh\necho owned >{world.canary}/owned\n")
            (place / name).chmod(0o755)
    for path in (world.canary, world.directory):
        os.chmod(path, 0o777)
    spec = world.spec("/bin/probe", "true", userns=True)
    environment = {"PATH": str(tools), "HOME": "/", "XDG_RUNTIME_DIR": str(world.directory)}
    world.run(spec, env=environment)
    if not world.plant:
        os.makedirs(world.directory / "user", exist_ok=True)
        os.chown(world.directory / "user", 1000, 1000)
        world.command("run", "--bundle", world.bundle, "--root", world.directory / "user",
                      world.name(), env=environment, prefix=("/usr/bin/setpriv", "--reuid=1000",
                                                              "--regid=1000", "--clear-groups"))


@attack("A-24", plant=w.says("checkpointed"), verb=["checkpoint", "restore"])
def no_restore(world, verb):
    """A-24, A-25, W-15, B-12 (CVE-2026-119101): without checkpoint and restore nothing is parsed."""
    image = world.canary / "image"
    image.mkdir()
    (image / "config.dump").write_text("{}")
    world.before = None
    result = world.command(verb, "--image-path", image, "--bundle", world.bundle, world.name())
    if result.code == 0:
        world.hit(f"{verb} has done something: {result}")


@attack("B-11", plant=w.says("copied"), verb=["cp", "mount", "copy", "attach"])
def no_copy(world, verb):
    """B-11, B-16 (CVE-2018-15664): there is no verb that carries files across the boundary."""
    with world.running() as name:
        result = world.command(verb, f"{name}:/etc/passwd", world.canary / "f")
        if result.code == 0:
            world.hit(f"{verb} has done something: {result}")


@attack("A-03", plant=EXE, variable=[
    "LD_PRELOAD", "LD_LIBRARY_PATH", "_LIBCONTAINER_CLONED_BINARY", "_LIBCONTAINER_INITPIPE",
    "CREEL_SEALED", "GCONV_PATH", "MALLOC_CHECK_"])
def hostile_environment(world, variable):
    """A-03, H-02: no variable of the environment turns the copy of the binary off."""
    _private_binary(world)
    spec = world.spec("/bin/payload", "grab", "0.2")
    spec["mounts"] = [world.proc()]
    environment = {**os.environ, variable: "1"}
    with world.running(spec, env=environment) as name:
        for _ in range(5):
            world.command("exec", name, "/bin/busybox", "true", env=environment)
        time.sleep(0.2)


def _stream_of_the_runtime(world, _words):
    (world.directory / "dump").write_text(f"{world.state}/lock\n")


@attack("A-15", plant=_stream_of_the_runtime, closed=[0, 1, 2, 3, 4, 5, 6, 7])
def closed_streams(world, closed):
    """A-15, H-01: with 0, 1 or 2 closed, none of them becomes a descriptor of the runtime."""
    dump = world.directory / "dump"
    dump.touch()
    dump.chmod(0o666)
    spec = world.spec("/bin/busybox", "sh", "-c",
                      "for f in 0 1 2; do readlink /proc/self/fd/$f; done >/dump; ls /proc/self/fd")
    spec["mounts"] = [world.proc(), world.bind(dump, "/dump", "rw")]

    def close():
        for fd in range(3):
            if closed >> fd & 1:
                os.close(fd)
    world.run(spec, preexec=close)
    if any(str(world.state) in line or str(world.rootfs) in line
           for line in dump.read_text().splitlines()):
        world.hit(f"a stream of the container is {dump.read_text()}")


@attack("A-15", plant=w.leaks_secret, value=["-1", "2147483648", "1x", "", "99999999999999999999"])
def listen_fds(world, value):
    """A-15, H-36: malformed LISTEN_FDS pass no descriptor."""
    fd = os.open(world.canary / "secret", os.O_RDONLY)
    spec = world.spec("/bin/busybox", "sh", "-c",
                      f"for f in 3 4 5 {fd}; do cat /proc/self/fd/$f; done; true")
    spec["mounts"] = [world.proc()]
    world.run(spec, env={**os.environ, "LISTEN_FDS": value, "LISTEN_PID": str(os.getpid())},
              fds=(fd,))
    os.close(fd)
