"""What each option of `checkpoint` and `restore` does to the container, with the distribution's CRIU; and cgroup images
that want out."""

import contextlib
import os
import pathlib
import select
import shutil
import socket
import subprocess

import harness
import images
import pytest
from terminals import Terminal
from test_checkpoint import COUNT, LONG, World, copy_of, join_network, network, only, python, world  # noqa: F401

pytestmark = pytest.mark.skipif(os.environ.get("CREEL_LAB") != "full", reason="needs the full laboratory")

CGROUPS = pathlib.Path("/sys/fs/cgroup")


def cgroup_of(pid):
    """Where a process is."""
    return pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip()[3:]


# ---- cgroups ----


def writable(spec):
    """Its cgroups are for the container to divide."""
    for mount in spec["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"].remove("ro")


def divided(one):
    """A container in two cgroups that it has made itself."""
    one.start()
    one.counts(3)
    return one


DIVIDE = ("/bin/busybox mkdir /sys/fs/cgroup/one /sys/fs/cgroup/two; echo $$ > /sys/fs/cgroup/one/cgroup.procs; "
          "while :; do /bin/busybox sleep 0.1; done & echo $! > /sys/fs/cgroup/two/cgroup.procs; " + COUNT)


def places(one):
    """The cgroups that its processes are in."""
    found = set()
    for pid in one.creel.ok("ps", "--format", "json", one.name).json():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.add(cgroup_of(pid))
    return found


@pytest.mark.parametrize("mode, script", [(None, DIVIDE), ("full", DIVIDE), ("strict", COUNT), ("ignore", DIVIDE)],
                         ids=["default", "full", "strict", "ignore"])
def test_manage_cgroups_mode(creel, world, mode, script):  # noqa: F811
    """Cgroups that the container has made below its own come back, as with runc; its limits are config.json's, always."""
    options = ["--manage-cgroups-mode", mode] if mode else []
    one = world(script).change(writable)
    one.change(lambda spec: spec["linux"]["resources"].update(pids={"limit": 77})).start()
    one.counts(3)
    inside = {f"/{one.name}/one", f"/{one.name}/two"} if script == DIVIDE else {f"/{one.name}"}
    assert places(one) == inside
    creel.ok("update", "--pids-limit", "55", one.name)
    one.checkpoint(*options)
    one.gone()
    one.restore(*options)
    one.counts(one.count())
    assert places(one) == ({f"/{one.name}"} if mode == "ignore" else inside)
    assert (CGROUPS / one.name / "pids.max").read_text() == "77\n"
    creel.ok("delete", "--force", one.name)
    assert not (CGROUPS / one.name).exists()


def test_other_mode_at_restore(creel, world):  # noqa: F811
    """Images with cgroups need not be restored with them."""
    one = divided(world(DIVIDE).change(writable))
    one.checkpoint()
    one.restore("--manage-cgroups-mode", "ignore")
    one.counts(one.count())
    assert places(one) == {f"/{one.name}"}


def without(kind):
    """It stays in the host's namespace of that kind."""
    def change(spec):
        spec["linux"]["namespaces"] = [entry for entry in spec["linux"]["namespaces"] if entry["type"] != kind]
    return change


def test_without_a_cgroup_namespace(creel, world):  # noqa: F811
    """The images would name cgroups of the host."""
    one = world().change(without("cgroup")).start()
    one.counts(3)
    one.checkpoint()
    one.refused("without a cgroup namespace", "--manage-cgroups-mode", "soft")
    one.restore()
    one.counts(one.count())
    assert places(one) == {f"/{one.name}"}


SET, HIERARCHY = 1, 2


def place(path):
    """All processes are said to have been in PATH."""
    def change(records):
        def move(one):
            for item in one:
                if item[0] == 2:
                    item[1] = images.Message.parse(item[1]).set(2, path).bytes()
        for item in records[0]:
            if item[0] == SET:
                one = images.Message.parse(item[1])
                move(one)
                item[1] = one.bytes()
    return change


def directory_named(path):
    """The first directory has another name."""
    return lambda records: records[0].edit(HIERARCHY, lambda one: one.edit(2, lambda top: top.set(1, path)))


def property_of(directory, name, value):
    """One more directory, with a property of that name."""
    def change(records):
        owner = images.Message([[1, 0o644], [2, 0], [3, 0]]).bytes()
        entry = images.Message([[1, name], [2, value], [3, owner]]).bytes()
        records[0].edit(HIERARCHY, lambda one: one.append(
            [2, images.Message([[1, directory], [3, entry], [4, owner]]).bytes()]))
    return change


def controller(name):
    """The hierarchy is one of version 1."""
    return lambda records: records[0].edit(HIERARCHY, lambda one: one.set(1, name))


HOSTILE = {
    "processes elsewhere": (place(b"/../../../../sys/fs/cgroup/init.scope"), "leads out of the container's"),
    "a directory of the host": (directory_named(b"../../../../../var/tmp/creel-trap"), "leads out of the container's"),
    "a file of the host": (property_of(b"three", b"../../../../../proc/sys/kernel/core_pattern", b"|/trap"),
                           "is no file of a cgroup"),
    "a hierarchy of version 1": (controller(b"name=trap"), "cgroups of version 1"),
}


@pytest.fixture(scope="module")
def saved_apart(binary, programs, tmp_path_factory):
    """A container in cgroups of its own that has been checkpointed; its images are copied for each attack."""
    creel = harness.Creel(binary, tmp_path_factory.mktemp("apart"), programs)
    one = divided(World(creel, DIVIDE).change(writable))
    one.checkpoint()
    yield one
    creel.run("delete", "--force", one.name)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("mode", ["soft", "ignore"])
def test_hostile_cgroups(saved_apart, tmp_path, name, mode):
    change, phrase = HOSTILE[name]
    directory = copy_of(saved_apart, tmp_path)
    images.edit(directory / "cgroup.img", change)
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    cgroups = {path for path, _, _ in os.walk(CGROUPS)}
    saved_apart.refused(phrase, "--manage-cgroups-mode", mode, images=directory)
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == pattern
    assert not os.path.exists("/var/tmp/creel-trap")
    assert {path for path, _, _ in os.walk(CGROUPS)} <= cgroups


# ---- connections ----


SERVER = """
import os, socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("10.78.1.2", 7778))
listener.listen()
while True:
    file = listener.accept()[0].makefile("rwb", buffering=0)
    try:
        while line := file.readline():
            file.write(b"got " + line)
    except OSError as error:
        open("/data/error", "w").write(str(error))
"""


def test_tcp_close(creel, world):  # noqa: F811
    """The connection is closed for both ends; the listener goes on."""
    with network("crclose", "10.78.1.2", "10.78.1.1") as path:
        one = python(world(), SERVER).change(join_network(path)).start()
        harness.wait_until(lambda: b":1E62 " in pathlib.Path(f"/proc/{one.pid()}/net/tcp").read_bytes(), "listening")

        def talk(connection, word):
            connection.sendall(word + b"\n")
            return connection.recv(100)
        before = socket.create_connection(("10.78.1.2", 7778), timeout=LONG)
        assert talk(before, b"one") == b"got one\n"
        one.checkpoint("--tcp-close")
        one.gone()
        one.restore("--tcp-close")
        with socket.create_connection(("10.78.1.2", 7778), timeout=LONG) as after:
            assert talk(after, b"two") == b"got two\n"
        with contextlib.suppress(OSError):
            assert talk(before, b"three") == b""
        before.close()


SPEAKER = """
import socket, time
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
speaker.connect("SOCKET")
number = 0
while True:
    number += 1
    speaker.send(str(number).encode())
    time.sleep(0.05)
"""


def test_ext_unix_sk(creel, world):  # noqa: F811
    """A socket whose other end is a daemon's of the host, as that of syslog is.  CRIU sees only the sockets of the
    container's network namespace, and so the container is in that of the host."""
    one = world()
    path = one.data / "socket"
    python(one, SPEAKER.replace("SOCKET", str(path))).change(without("network"))
    # CRIU remembers it by the name that the daemon knows.
    one.change(lambda spec: spec["mounts"].append({"destination": str(one.data), "type": "bind",
                                                   "source": str(one.data), "options": ["bind"]}))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(path))
        daemon.settimeout(LONG)
        one.start()
        assert [int(daemon.recv(100)) for _ in range(3)] == [1, 2, 3]
        refused = creel.fails("criu could not do it", "checkpoint", "--image-path", creel.directory / "first", one.name,
                              timeout=LONG)
        assert "Consider using --ext-unix-sk" in refused.error["msg"], refused
        assert creel.status(one.name) == "running"
        assert [int(daemon.recv(100)) for _ in range(20)] == list(range(4, 24))
        one.checkpoint("--ext-unix-sk")
        one.gone()
        daemon.setblocking(False)
        last = 23
        with contextlib.suppress(BlockingIOError):
            while True:
                last = int(daemon.recv(100))
        daemon.settimeout(LONG)
        one.restore("--ext-unix-sk")
        assert [int(daemon.recv(100)) for _ in range(20)] == list(range(last + 1, last + 21))


# ---- terminals ----


ECHO = "while read -r line; do echo got $line; done"


def test_terminal_of_the_caller(creel, world):  # noqa: F811
    """Without a terminal of its own, but with the streams of a shell's: those of the restore take their place."""
    one = world(ECHO)
    with Terminal() as first:
        creel.ok("run", "--detach", "--bundle", one.bundle.path, one.name, stdin=first.slave, stdout=first.slave)
        first.write("one\n")
        first.read_until("got one")
        one.checkpoint("--shell-job")
    one.gone()
    with Terminal() as second:
        one.restore("--shell-job", stdin=second.slave, stdout=second.slave)
        second.write("two\n")
        second.read_until("got two")
        creel.ok("delete", "--force", one.name)


def test_terminal_in_the_foreground(creel, world):  # noqa: F811
    """`restore` relays the container's own terminal, as `run` does."""
    one = world(ECHO + "; exit 7", terminal=True)
    with Terminal() as first:
        command = creel.spawn("run", "--bundle", one.bundle.path, one.name, **first.options())
        first.write("one\n")
        first.read_until("got one")
        one.checkpoint()
        assert command.wait(LONG).code == 137
    with Terminal() as second:
        command = creel.spawn("restore", "--image-path", one.images, "--bundle", one.bundle.path, one.name,
                              **second.options())
        second.write("two\n")
        second.read_until("got two", LONG)
        second.write("\x04")
        assert command.wait(LONG).code == 7
    assert one.name not in creel.ids()


# ---- memory ----


WRITER = """
import os, time
block = bytearray(4 << 20)
number = 0
while True:
    number += 1
    for page in range(0, len(block), 4096):
        if number > 1 and block[page:page + 8] != b"%08d" % (number - 1):
            raise SystemExit("memory of another time")
        block[page:page + 8] = b"%08d" % number
    with open("/data/new", "w") as file:
        file.write(str(number))
    os.rename("/data/new", "/data/count")
    time.sleep(0.1)
"""


def space(directory):
    """Bytes that the pages in it take."""
    return sum(path.stat().st_blocks * 512 for path in directory.glob("pages-*.img"))


def test_auto_dedup(creel, world):  # noqa: F811
    """Pages that are saved again, or restored, leave the images."""
    block = 4 << 20
    one = python(world(), WRITER).start()
    one.counts(2)
    before = creel.directory / "before"
    one.checkpoint("--pre-dump", images=before)
    one.counts(one.count() + 1)
    full = space(before)
    kept = creel.directory / "kept"
    one.checkpoint("--parent-path", "../before", "--leave-running", images=kept)
    assert space(before) == full > block, "nothing is removed without the option"
    shutil.rmtree(kept)
    # What is written from here on counts as changed: each page has to be, once more.
    one.counts(one.count() + 1)
    one.checkpoint("--parent-path", "../before", "--auto-dedup")
    one.gone()
    assert full - space(before) >= block, (full, space(before))
    saved = space(one.images)
    assert saved >= block
    one.restore("--parent-path", "../before", "--auto-dedup")
    assert saved - space(one.images) >= block, (saved, space(one.images))
    one.counts(one.count() + 2)


# ---- namespaces ----


def addresses(pid):
    """Those of a process's network namespace."""
    done = subprocess.run(["nsenter", "--net", "--target", str(pid), "ip", "-o", "address"], capture_output=True,
                          text=True, check=True, timeout=60)
    return done.stdout


def test_empty_network(creel, world):  # noqa: F811
    """What is in the network namespace comes back, unless the caller is to fill it: with a hook, as engines do."""
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); "
                                        "nsenter --net --target $pid ip address add 10.79.0.2/32 dev lo"],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}
    one = world().start()
    one.counts(3)
    subprocess.run(["nsenter", "--net", "--target", str(one.pid()), "ip", "address", "add", "10.79.0.1/32", "dev", "lo"],
                   check=True, timeout=60)
    empty = creel.directory / "empty"
    one.checkpoint("--leave-running", "--empty-ns", "network", images=empty)
    one.checkpoint()
    one.restore()
    assert "10.79.0.1/32" in addresses(one.pid())
    creel.ok("delete", "--force", one.name)
    one.change(lambda spec: spec.update(hooks={"createRuntime": [hook]}))
    one.restore("--empty-ns", "network", images=empty)
    found = addresses(one.pid())
    assert "10.79.0.1/32" not in found and "10.79.0.2/32" in found, found
    one.counts(one.count())


@contextlib.contextmanager
def holder(option):
    """A process with a namespace of its own.  That of a pid namespace gets the orphans in it, and has to let go of them:
    their session would keep the number of its leader."""
    with subprocess.Popen(["unshare", option, "--fork", "env", "--ignore-signal=CHLD", "sleep", "1000"]) as parent:
        children = pathlib.Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        pid = int(harness.wait_until(lambda: children.read_text().split(), "a process")[0])
        try:
            yield pid
        finally:
            os.kill(pid, 9)
            # The first process of a pid namespace waits for the others, and those are our orphans.
            harness.wait_until(lambda: harness.reap() or parent.poll() is not None, "its end", LONG)


def members(kind, inode):
    """The processes in a namespace, with those that have ended but not gone."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(path / "ns" / kind) == inode:
                found.add(path.name)
    return found


@pytest.mark.parametrize("kind, option", [("ipc", "--ipc"), ("uts", "--uts"), ("pid", "--pid")])
def test_joined(creel, world, kind, option):  # noqa: F811
    """Namespaces of somebody else's are joined again, and left as they are."""
    with holder(option) as pid:
        path = f"/proc/{pid}/ns/{kind}"

        def change(spec):
            for entry in spec["linux"]["namespaces"]:
                if entry["type"] == kind:
                    entry["path"] = path
            if kind == "uts":
                spec.pop("hostname", None)
        inode = os.readlink(path)
        others = members(kind, inode)
        one = world().change(change).start()
        one.counts(3)
        assert os.readlink(f"/proc/{one.pid()}/ns/{kind}") == inode
        one.checkpoint()
        one.gone()
        # Or a pid would be taken.
        harness.wait_until(lambda: harness.reap() or members(kind, inode) == others, "alone", LONG)
        one.restore()
        one.counts(one.count())
        assert os.readlink(f"/proc/{one.pid()}/ns/{kind}") == inode
        creel.ok("delete", "--force", one.name)


# ---- hooks ----


HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
AT_RESTORE = {
    "creel": ["prestart", "createRuntime"],
    "runc": ["prestart", "createRuntime"],
    "crun": [],
}


@contextlib.contextmanager
def cgroup_mount():
    """To look at cgroups CRIU mounts them, and that changes the options of the host's mount: only creel prevents it."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    words = next(line for line in lines if f" {CGROUPS} " in line).split()
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", f"remount,{words[5]},{words[-1]}", CGROUPS], check=True, timeout=60)


@pytest.mark.parametrize("runtime", AT_RESTORE)
def test_hooks_at_restore(creel, world, runtime):  # noqa: F811
    """What runs before the processes go on, and nothing of what `start` runs: as with runc.  crun runs nothing."""
    program = creel.binary if runtime == "creel" else shutil.which(runtime)
    one = world()
    log = one.data / "hooks"

    def hook(kind):
        shell, path = ("/bin/busybox", "/data/hooks") if kind == "startContainer" else ("/bin/sh", log)
        return {"path": shell, "args": ["sh", "-c", f"echo {kind} >> {path}"]}
    one.change(lambda spec: spec.update(hooks={kind: [hook(kind)] for kind in HOOKS}))
    streams = os.pipe()     # the container's: not files of the host's, which CRIU does not find

    def run(*words):
        done = subprocess.run([program, *map(str, words)], stdin=streams[0], stdout=streams[1], stderr=streams[1],
                              check=False, timeout=LONG)
        assert done.returncode == 0, (words, os.read(streams[0], 4000) if select.select(streams[:1], [], [], 0)[0] else "")

    def ran():
        found = log.read_text().split()
        log.unlink()
        return found
    with contextlib.nullcontext() if runtime == "creel" else cgroup_mount():
        try:
            run("run", "--detach", "--bundle", one.bundle.path, one.name)
            one.counts(3)
            assert set(ran()) == set(HOOKS) - {"poststop"}
            run("checkpoint", "--image-path", one.images, one.name)
            assert ran() == ["poststop"]
            log.touch()
            run("restore", "--image-path", one.images, "--bundle", one.bundle.path, "--detach", one.name)
            one.counts(one.count())
            assert ran() == AT_RESTORE[runtime]
        finally:
            subprocess.run([program, "delete", "--force", one.name], check=False, timeout=LONG, capture_output=True)
            for fd in streams:
                os.close(fd)


# ---- Docker ----


@contextlib.contextmanager
def docker(binary):
    """A daemon with experimental features; runs its client."""
    run = pathlib.Path("/run/creel-docker")
    run.mkdir()
    program = run / "creel"
    shutil.copy(binary, program)
    config = run / "daemon.json"
    config.write_text(f"""{{"experimental": true, "iptables": false, "ip6tables": false, "bridge": "none",
        "data-root": "/var/lib/creel-docker", "exec-root": "{run}/exec", "pidfile": "{run}/pid",
        "hosts": ["unix://{run}/socket"], "runtimes": {{"creel": {{"path": "{program}"}}}},
        "default-runtime": "creel"}}""")

    def client(*words, check=True, **more):
        done = subprocess.run(["docker", "-H", f"unix://{run}/socket", *map(str, words)], capture_output=True,
                              check=False, timeout=LONG, **more)
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr, (run / "log").read_text()[-3000:])
        return done
    with open(run / "log", "w", encoding="utf-8") as log, \
            subprocess.Popen(["dockerd", "--config-file", config], stdout=log, stderr=log) as daemon:
        try:
            harness.wait_until(lambda: client("version", check=False).returncode == 0, "dockerd", LONG)
            yield client
        finally:
            for name in client("ps", "--all", "--quiet", check=False).stdout.decode().split():
                client("rm", "--force", name, check=False)
            daemon.terminate()


def test_docker(creel, world):  # noqa: F811
    """`docker checkpoint create` and `docker start --checkpoint`."""
    one = world()
    with docker(creel.binary) as client:
        archive = subprocess.run(["tar", "-C", one.bundle.rootfs, "-c", "."], capture_output=True, check=True, timeout=60)
        client("import", "-", "box", input=archive.stdout)
        client("run", "--detach", "--name", "web", "--network", "none", "--volume", f"{one.data}:/data", "box",
               "/bin/busybox", "sh", "-c", COUNT)
        one.counts(3)

        def state():
            return client("inspect", "--format", "{{.State.Status}}", "web").stdout.decode().strip()
        client("checkpoint", "create", "--leave-running", "web", "first")
        assert state() == "running"
        client("checkpoint", "create", "web", "second")
        harness.wait_until(lambda: state() == "exited", "its end", LONG)
        saved = one.count()

        def start():
            """Docker takes the checkpoint out of containerd's store and puts it in again; until the store has thrown the
            first one away, that "already exists"."""
            done = client("start", "--checkpoint", "second", "web", check=False)
            assert done.returncode == 0 or b"already exists" in done.stderr, done.stderr
            return done.returncode == 0
        harness.wait_until(start, "containerd's store", LONG)
        assert state() == "running"
        assert one.counts(saved + 3) < saved + 1000
        client("rm", "--force", "web")
