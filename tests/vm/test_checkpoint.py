"""`checkpoint` and `restore` with the distribution's CRIU: only here, because a restore on another kernel may leave
things behind that nobody can remove."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

import harness
import images
import pytest
from terminals import ConsoleSocket, adopt_terminal

pytestmark = pytest.mark.skipif(os.environ.get("CREEL_LAB") != "full", reason="needs the full laboratory")

CRIU = pathlib.Path("/usr/sbin/criu")
LONG = 120              # a restore in an emulated machine takes its time


def sh(script):
    """The arguments of a busybox shell."""
    return ("/bin/busybox", "sh", "-c", script)


def python(one, script):
    """Makes the world run a script of the laboratory's Python."""
    for name in ("lib", "lib64"):
        (one.bundle.rootfs / name).symlink_to(f"usr/{name}")

    def change(spec):
        spec["process"]["args"] = ["/usr/bin/python3", "-I", "-c", script]
        spec["mounts"].append({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["bind", "ro"]})
    return one.change(change)


COUNT = ("i=0; while :; do i=$((i+1)); echo $i > /data/count.new; "
         "/bin/busybox mv /data/count.new /data/count 2> /dev/null; /bin/busybox sleep 0.1; done")


class World:
    """A bundle whose program works in /data, which is the host's; and where its images go."""

    def __init__(self, creel, script=COUNT, **more):
        self.creel = creel
        self.name = creel.id("criu")
        self.data = creel.directory / "data"
        self.data.mkdir()
        self.images = creel.directory / "images"
        self.bundle = creel.bundle(*sh(script), **more)
        self.bundle.spec["mounts"].append({"destination": "/data", "type": "bind", "source": str(self.data),
                                           "options": ["rbind", "rw"]})
        self.bundle.spec["linux"]["cgroupsPath"] = f"/{self.name}"
        self.bundle.write()

    def change(self, change):
        """Changes the document."""
        change(self.bundle.spec)
        self.bundle.write()
        return self

    def start(self, *options, **more):
        """Starts it."""
        self.creel.ok("run", "--detach", "--bundle", self.bundle.path, *options, self.name, **more)
        return self

    def count(self):
        """What the program has counted to."""
        path = self.data / "count"
        return int(path.read_text()) if path.exists() else 0

    def counts(self, above=0):
        """Waits until it has counted further than ABOVE."""
        return harness.wait_until(lambda: self.count() > above and self.count(), f"counting above {above}")

    def with_log(self, log, *words, **more):
        """A command that has to succeed; if not, the end of CRIU's log is in the failure."""
        try:
            return self.creel.ok(*words, timeout=LONG, **more)
        except AssertionError as failure:
            lines = log.read_text(errors="replace").splitlines()[-60:] if log.exists() else ["no log"]
            raise AssertionError("\n".join([str(failure), *lines])) from None

    def checkpoint(self, *options, images=None, **more):
        """Saves it."""
        directory = images or self.images
        return self.with_log(directory / "dump.log", "checkpoint", "--image-path", directory, *options, self.name,
                             **more)

    def gone(self):
        """What a checkpoint leaves of it: nothing, so that a restore can take its name."""
        assert self.name not in self.creel.ids()
        assert not list(pathlib.Path("/sys/fs/cgroup").rglob(f"*{self.name}*"))

    def restore(self, *options, images=None, detach=True, **more):
        """Makes it again."""
        directory = images or self.images
        return self.with_log(directory / "restore.log", "restore", "--image-path", directory, "--bundle",
                             self.bundle.path, *(["--detach"] if detach else []), *options, self.name, **more)

    def refused(self, phrase, *options, images=None, **more):
        """A restore that has to fail, and leaves nothing."""
        result = self.creel.fails(phrase, "restore", "--image-path", images or self.images, "--bundle",
                                  self.bundle.path, "--detach", *options, self.name, timeout=LONG, **more)
        assert self.name not in self.creel.ids()
        return result

    def pid(self):
        """The init's."""
        return self.creel.state(self.name)["pid"]

    def inside(self, *words):
        """The output of a command in it."""
        return self.creel.ok("exec", self.name, *words).out

    def mounts(self):
        """Its table of mounts, without ids: mount point -> (root, flags, type)."""
        table = {}
        for line in pathlib.Path(f"/proc/{self.pid()}/mountinfo").read_text().splitlines():
            fields, behind = line.split(" - ")
            words = fields.split()
            table[words[4]] = (words[3], words[5], behind.split()[0])
        return table

    def status(self):
        """Lines of /proc/PID/status that say who it is."""
        keys = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
                "Seccomp_filters", "SigIgn")
        lines = pathlib.Path(f"/proc/{self.pid()}/status").read_text().splitlines()
        return {line.split(":")[0]: line.split(":")[1].split() for line in lines if line.split(":")[0] in keys}


@pytest.fixture
def world(creel):
    """Makes worlds, and ends them."""
    made = []

    def make(*args, **more):
        made.append(World(creel, *args, **more))
        return made[-1]
    yield make
    for one in made:
        creel.run("delete", "--force", one.name)


def namespaces(pid):
    """kind -> inode."""
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in
            ("mnt", "pid", "net", "ipc", "uts", "cgroup", "user")}


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_goes_on(creel, world, driver):
    one = world()
    if driver == "systemd":
        creel.options = ["--systemd-cgroup"]
        one.change(lambda spec: spec["linux"].update(cgroupsPath=f"system.slice:creel:{one.name}"))
    one.start()
    one.counts(5)
    mounts, status = one.mounts(), one.status()
    one.checkpoint()
    saved = one.count()
    one.gone()
    pid_file = creel.directory / "pid"
    one.restore("--pid-file", pid_file)
    assert one.counts(saved + 3) < saved + 1000
    state = creel.state(one.name)
    assert state["status"] == "running"
    assert int(pid_file.read_text()) == state["pid"]
    assert one.mounts() == mounts
    assert one.status() == status
    ours, theirs = namespaces("self"), namespaces(state["pid"])
    assert {kind for kind in ours if ours[kind] != theirs[kind]} == {"mnt", "pid", "net", "ipc", "uts", "cgroup"}
    cgroup = pathlib.Path(f"/proc/{state['pid']}/cgroup").read_text().strip()
    assert cgroup == (f"0::/{one.name}" if driver == "cgroupfs" else
                      f"0::/system.slice/creel-{one.name}.scope")
    assert one.inside("/bin/busybox", "cat", "/proc/self/cgroup") == "0::/\n"
    assert "creel" in one.inside("/bin/busybox", "hostname")
    pids = creel.ok("ps", "--format", "json", one.name).json()
    assert state["pid"] in pids
    creel.fails("already exists", "restore", "--image-path", one.images, "--bundle", one.bundle.path, "--detach",
                one.name, timeout=LONG)
    saved = one.count()
    one.counts(saved)
    creel.ok("pause", one.name)
    creel.ok("resume", one.name)
    creel.ok("kill", one.name, "KILL")
    creel.wait_status(one.name, "stopped")
    creel.ok("delete", one.name)


def test_leave_running(creel, world):
    one = world().start()
    one.counts(3)
    one.checkpoint("--leave-running", "--work-path", creel.directory / "work")
    assert creel.status(one.name) == "running"
    one.counts(one.count())
    assert (creel.directory / "work" / "dump.log").exists()
    assert not (one.images / "dump.log").exists()
    creel.ok("pause", one.name)
    one.checkpoint("--leave-running", images=creel.directory / "again")
    assert creel.status(one.name) == "paused"
    creel.ok("resume", one.name)
    one.counts(one.count())


def test_pre_dump(creel, world):
    script = "x=$(/bin/busybox head -c 3000000 /dev/zero | /bin/busybox tr '\\0' x); " + COUNT
    one = world(script).start()
    one.counts(3)
    one.checkpoint("--pre-dump", images=creel.directory / "before")
    assert creel.status(one.name) == "running"
    one.counts(one.count())
    one.checkpoint("--parent-path", "../before")
    saved = one.count()
    before, after = (sum(path.stat().st_size for path in directory.glob("pages-*.img"))
                     for directory in (creel.directory / "before", one.images))
    print((one.images / "dump.log").read_text()[-200:], subprocess.run(
        ["grep", "-n", "irty\\|parent\\|track", one.images / "dump.log"], capture_output=True, text=True, check=False).stdout)
    assert before > 3000000 > after, (before, after)
    assert os.readlink(one.images / "parent") == "../before"
    one.gone()
    one.restore("--parent-path", "../before")
    one.counts(saved + 3)


def test_mounts(creel, world):
    file = creel.directory / "file"
    file.write_text("of the host\n")

    def change(spec):
        spec["mounts"] += [
            {"destination": "/file", "type": "bind", "source": str(file), "options": ["bind", "ro", "nosuid"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nodev", "size=1m"]},
        ]
    one = world("echo of the container > /tmp/file; " + COUNT).change(change)
    below = one.data / "below"
    below.mkdir()
    harness.mount("below", below, "tmpfs")
    (below / "file").write_text("below\n")
    one.start()
    one.counts(3)
    table = one.mounts()
    assert table["/data/below"][2] == "tmpfs"
    one.checkpoint()
    one.gone()
    saved = one.count()
    one.restore()
    one.counts(saved)
    assert one.mounts() == table
    assert one.inside("/bin/busybox", "cat", "/file", "/tmp/file") == "of the host\nof the container\n"
    for path in ("/file", "/proc/sys/kernel/hostname", "/bin/new"):
        assert creel.run("exec", one.name, *sh(f"echo x > {path}")).code == 1
    assert file.read_text() == "of the host\n"
    creel.ok("exec", one.name, *sh("echo x > /data/new"))
    assert one.inside("/bin/busybox", "cat", "/proc/keys") == ""
    assert (one.data / "new").read_text() == "x\n"
    assert one.inside("/bin/busybox", "cat", "/data/below/file") == "below\n"
    creel.ok("delete", "--force", one.name)
    harness.unmount(below)


def test_killed(creel, world):
    """A restore that is killed leaves what `delete --force` needs; a checkpoint leaves a container that runs."""
    one = world().start()
    one.counts(3)
    one.checkpoint("--leave-running")
    for delay in (0.3, 0.8, 1.3):
        with creel.spawn("checkpoint", "--leave-running", "--image-path", creel.directory / "other", one.name) as command:
            time.sleep(delay)
            command.end()
        creel.wait_status(one.name, "running")
    creel.ok("delete", "--force", one.name)
    for delay in (0.2, 0.5, 1, 1.5):
        with creel.spawn("restore", "--image-path", one.images, "--bundle", one.bundle.path, "--detach",
                         one.name) as command:
            time.sleep(delay)
            command.end()
        creel.run("delete", "--force", one.name)
        assert one.name not in creel.ids()
    one.restore()
    one.counts(one.count())


def test_hooks(creel, world):
    log = creel.directory / "hooks"

    def hook(kind):
        return {"path": "/bin/sh", "args": ["sh", "-c", f"(echo {kind}; cat; echo) >> {log}"]}
    kinds = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    one = world().change(lambda spec: spec.update(hooks={kind: [hook(kind)] for kind in kinds})).start()
    one.counts(3)
    log.unlink()
    one.checkpoint()
    one.gone()
    assert log.read_text().split("\n")[0] == "poststop"
    log.unlink()
    one.restore()
    # As runc: what create has done before the program, and nothing of start.
    lines = log.read_text().split("\n")
    assert lines[0] == "prestart" and lines[2] == "createRuntime" and lines[4:] == [""]
    assert json.loads(lines[1])["pid"] == one.pid()
    creel.ok("delete", "--force", one.name)
    assert log.read_text().split("\n")[4] == "poststop"


def test_foreground(creel, world):
    one = world("while :; do /bin/busybox sleep 0.1; [ ! -e /data/end ] || exit 7; done").start()
    one.checkpoint()
    one.gone()
    with creel.spawn("restore", "--image-path", one.images, "--bundle", one.bundle.path, one.name) as command:
        harness.wait_until(lambda: one.name in creel.ids() and creel.status(one.name) == "running", "running", LONG)
        (one.data / "end").touch()
        assert command.wait(LONG).code == 7
    assert one.name not in creel.ids()


def test_streams(creel, world):
    """Pipes that an engine holds become those of the restore."""
    one = world("while read -r line; do echo got $line; done")
    first_in, first_out = os.pipe(), os.pipe()
    creel.ok("run", "--detach", "--bundle", one.bundle.path, one.name, stdin=first_in[0], stdout=first_out[1])
    os.write(first_in[1], b"one\n")
    assert os.read(first_out[0], 100) == b"got one\n"
    one.checkpoint()
    one.gone()
    then_in, then_out = os.pipe(), os.pipe()
    one.restore(stdin=then_in[0], stdout=then_out[1])
    os.write(then_in[1], b"two\n")
    assert os.read(then_out[0], 100) == b"got two\n"
    for fd in (*first_in, *first_out, *then_in, *then_out):
        os.close(fd)


def test_terminal(creel, world):
    one = world("while read -r line; do echo got $line; done", terminal=True)
    with ConsoleSocket(creel.directory / "console") as console:
        one.start("--console-socket", console.path)
        terminal = adopt_terminal(console.receive())
        terminal.write("one\n")
        terminal.read_until("got one")
        one.checkpoint()
        one.gone()
        terminal.close()
        one.restore("--console-socket", console.path)
        terminal = adopt_terminal(console.receive())
    terminal.write("two\n")
    terminal.read_until("got two")
    assert one.inside("/bin/busybox", "ls", "-l", "/proc/1/fd/0").strip().endswith("/dev/pts/0")
    terminal.close()


@contextlib.contextmanager
def network(name, address, peer):
    """A network namespace with a link to ours."""
    def ip(*words):
        subprocess.run(["ip", *words], check=True, timeout=30)
    ip("netns", "add", name)
    try:
        ip("link", "add", f"{name}h", "type", "veth", "peer", "name", f"{name}c", "netns", name)
        ip("addr", "add", f"{peer}/24", "dev", f"{name}h")
        ip("link", "set", f"{name}h", "up")
        ip("-n", name, "addr", "add", f"{address}/24", "dev", f"{name}c")
        ip("-n", name, "link", "set", f"{name}c", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield f"/run/netns/{name}"
    finally:
        subprocess.run(["ip", "link", "del", f"{name}h"], check=False, timeout=30)
        subprocess.run(["ip", "netns", "del", name], check=False, timeout=30)
        # ip made it a mount, and leaves it.
        subprocess.run(["umount", "/run/netns"], check=False, timeout=30)


def join_network(path):
    """A change of the document."""
    def change(spec):
        for namespace in spec["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = path
    return change


class Peer(threading.Thread):
    """Sends numbers over a connection and reads them back, all the time."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.connection = socket.create_connection(address, timeout=LONG)
        self.answers, self.over, self.failure = 0, False, None

    def run(self):
        file = self.connection.makefile("rwb", buffering=0)
        try:
            while not self.over:
                word = f"{self.answers}\n".encode()
                file.write(word)
                answer = file.readline()
                assert answer == b"got " + word, answer
                self.answers += 1
                time.sleep(0.02)
        except Exception as error:      # pylint: disable=broad-except
            self.failure = error

    def advances(self):
        """Waits for ten more answers."""
        goal = self.answers + 10
        harness.wait_until(lambda: self.failure or self.answers >= goal, "answers", LONG)
        assert self.failure is None, self.failure

    def end(self):
        """Ends it."""
        self.over = True
        self.join(LONG)
        self.connection.close()


SERVER = """
import socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("10.77.1.2", 7777))
listener.listen()
file = listener.accept()[0].makefile("rwb", buffering=0)
while True:
    file.write(b"got " + file.readline())
"""

LOCKS = """
import fcntl, time
with open("/data/lock", "w") as one, open("/data/other", "w") as other:
    fcntl.flock(one, fcntl.LOCK_EX)
    fcntl.lockf(other, fcntl.LOCK_EX)
    open("/data/ready", "w").close()
    time.sleep(100000)
"""


def test_tcp(creel, world):
    """A connection survives, in a network namespace of the engine's, while the other end goes on sending."""
    with network("crtcp", "10.77.1.2", "10.77.1.1") as path:
        one = python(world(), SERVER).change(join_network(path)).start()
        harness.wait_until(lambda: b":1E61 " in pathlib.Path(f"/proc/{one.pid()}/net/tcp").read_bytes(), "listening")
        peer = Peer(("10.77.1.2", 7777))
        peer.start()
        peer.advances()
        refused = creel.fails("", "checkpoint", "--image-path", one.images, one.name, timeout=LONG)
        assert "onnected TCP socket" in refused.err, refused
        assert refused.error["code"] == "CRL-5700" and "onnected TCP socket" in refused.error["msg"]
        assert str(one.images / "dump.log") in refused.err
        assert creel.status(one.name) == "running"
        peer.advances()
        one.checkpoint("--tcp-established", images=creel.directory / "second")
        one.gone()
        one.restore("--tcp-established", images=creel.directory / "second")
        assert os.readlink(f"/proc/{one.pid()}/ns/net") == f"net:[{os.stat(path).st_ino}]"
        peer.advances()
        peer.end()


def test_file_locks(creel, world):
    one = python(world(), LOCKS).start()
    harness.wait_until((one.data / "ready").exists, "locks", LONG)
    command = ["flock", "--nonblock", str(one.data / "lock"), "true"]
    assert subprocess.run(command, check=False).returncode == 1
    refused = creel.fails("", "checkpoint", "--image-path", one.images, one.name, timeout=LONG)
    assert "lock" in refused.err
    assert creel.status(one.name) == "running"
    assert subprocess.run(command, check=False).returncode == 1
    one.checkpoint("--file-locks")
    one.gone()
    assert subprocess.run(command, check=False).returncode == 0
    one.restore("--file-locks")
    assert subprocess.run(command, check=False).returncode == 1


ZOMBIE = """
import os, time
if os.fork() == 0:
    os._exit(7)
number = 0
while True:
    number += 1
    with open("/data/new", "w") as file:
        file.write(str(number))
    os.rename("/data/new", "/data/count")
    time.sleep(0.1)
"""


def test_zombie(creel, world):
    """Of one that nobody has waited for the images say little, and some of it is not true."""
    one = python(world(), ZOMBIE).start()
    one.counts(3)
    one.checkpoint()
    one.gone()
    one.restore()
    one.counts(one.count())
    child = pathlib.Path(f"/proc/{one.pid()}/task/{one.pid()}/children").read_text().split()
    assert len(child) == 1 and "\nState:\tZ" in pathlib.Path(f"/proc/{child[0]}/status").read_text()


def test_user_namespace(creel, world):
    one = world(userns=True)
    one.data.chmod(0o777)
    one.start()
    one.counts(3)
    maps = pathlib.Path(f"/proc/{one.pid()}/uid_map").read_text()
    one.checkpoint()
    one.gone()
    one.restore()
    one.counts(one.count())
    assert pathlib.Path(f"/proc/{one.pid()}/uid_map").read_text() == maps
    assert one.inside("/bin/busybox", "id", "-u") == "0\n"


def test_seccomp(creel, world):
    one = world().change(lambda spec: spec["linux"].update(seccomp={
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]})).start()
    one.counts(3)
    status = one.status()
    assert status["Seccomp"] == ["2"]
    one.checkpoint()
    one.gone()
    one.restore()
    one.counts(one.count())
    assert one.status() == status
    assert "not implemented" in creel.run("exec", one.name, "/bin/busybox", "chroot", "/", "/bin/true").err
    creel.ok("delete", "--force", one.name)
    # The same images under a document with another filter.
    one.change(lambda spec: spec["linux"]["seccomp"]["syscalls"][0].update(names=["chroot", "sethostname"]))
    one.refused("seccomp")


def test_limits(creel, world):
    one = world().start()
    one.counts(3)
    one.checkpoint()
    one.gone()
    one.change(lambda spec: spec["linux"]["resources"].update(pids={"limit": 33}, memory={"limit": 64 << 20}))
    one.restore()
    one.counts(one.count())
    cgroup = pathlib.Path("/sys/fs/cgroup") / one.name
    assert (cgroup / "pids.max").read_text() == "33\n"
    assert (cgroup / "memory.max").read_text() == f"{64 << 20}\n"


def test_page_server(creel, world):
    """Memory goes over the network instead of into files."""
    one = world().start()
    one.counts(3)
    one.images.mkdir(0o700)
    server = subprocess.Popen([CRIU, "page-server", "--images-dir", one.images, "--address", "127.0.0.1", "--port", "9871"])
    try:
        harness.wait_until(lambda: b":268F " in pathlib.Path("/proc/net/tcp").read_bytes(), "listening", LONG)
        one.checkpoint("--page-server", "127.0.0.1:9871")
        assert server.wait(LONG) == 0
    finally:
        server.kill()
        server.wait()
    one.gone()
    one.restore()
    one.counts(one.count())


def test_lazy_pages(creel, world):
    """A container begins to run elsewhere before its memory is there."""
    if subprocess.run([CRIU, "check", "--feature", "uffd"], check=False).returncode:
        pytest.skip("needs userfaultfd")
    one = world().start()
    one.counts(3)
    work = creel.directory / "lazy"
    work.mkdir(0o700)
    ready, status = os.pipe()
    where = ["--address", "127.0.0.1", "--port", "9872"]
    with creel.spawn("checkpoint", "--image-path", one.images, "--lazy-pages", "--page-server", "127.0.0.1:9872",
                     "--status-fd", status, one.name, pass_fds=(status,)) as dump:
        os.close(status)
        assert os.read(ready, 1) == b"\0", str(dump.result)
        os.close(ready)
        # With an end of its own: when the restore fails nobody asks it for pages, and it would wait for ever.
        with subprocess.Popen(["timeout", str(LONG), CRIU, "lazy-pages", "--page-server", *where, "--images-dir",
                               one.images, "--work-dir", work]) as server:
            harness.wait_until((work / "lazy-pages.socket").exists, "the socket", LONG)
            # Where it comes from it has the name still.
            there, one.name = one.name, creel.id("there")
            one.change(lambda spec: spec["linux"].update(cgroupsPath=f"/{one.name}"))
            one.restore("--lazy-pages", "--work-path", work)
            one.counts(one.count())
            assert server.wait(LONG) == 0
        assert dump.wait(LONG).code == 0, str(dump.result)
    assert there not in creel.ids()
    creel.ok("delete", "--force", one.name)


def test_refusals(creel, world):
    one = world()
    creel.ok("create", "--bundle", one.bundle.path, one.name)
    creel.fails("cannot be checkpointed in the created state", "checkpoint", "--image-path", one.images, one.name)
    creel.ok("start", one.name)
    one.counts(3)
    creel.fails("must be relative", "checkpoint", "--image-path", one.images, "--parent-path", "/tmp", one.name)
    creel.fails("cannot be left empty", "checkpoint", "--image-path", one.images, "--empty-ns", "pid", one.name)
    creel.fails("not open for writing", "checkpoint", "--image-path", one.images, "--status-fd", "77", one.name)
    creel.fails("ADDRESS:PORT", "checkpoint", "--image-path", one.images, "--page-server", "here", one.name)
    shared = creel.directory / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    creel.fails("written to by others", "checkpoint", "--image-path", shared, one.name)
    text = (one.bundle.path / "config.json").read_text()
    one.change(lambda spec: spec.update(hostname="other"))
    creel.fails("not the one it was created from", "checkpoint", "--image-path", one.images, one.name)
    (one.bundle.path / "config.json").write_text(text)
    one.counts(one.count())
    creel.ok("kill", one.name, "KILL")
    creel.wait_status(one.name, "stopped")
    creel.fails("cannot be checkpointed in the stopped state", "checkpoint", "--image-path", one.images, one.name)


def test_without_criu(creel, world):
    one = world().start()
    aside = CRIU.with_name("criu.aside")
    CRIU.rename(aside)
    try:
        refused = creel.fails("criu is not installed", "checkpoint", "--image-path", one.images, one.name)
        assert "install the package criu" in refused.err
        one.counts(one.count())
        assert not one.images.exists()
        annotations = creel.ok("features").json()["annotations"]
        assert annotations["org.opencontainers.runc.checkpoint.enabled"] == "false"
    finally:
        aside.rename(CRIU)
    annotations = creel.ok("features").json()["annotations"]
    assert annotations["org.opencontainers.runc.checkpoint.enabled"] == "true"


def test_rootless(creel):
    creel.prefix = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--inh-caps=-all"]
    creel.directory.chmod(0o777)
    creel.fails("need root", "checkpoint", "some")
    bundle = creel.bundle("/bin/true", rootless=True)
    creel.fails("need root", "restore", "--bundle", bundle.path, "some")


def test_a_criu_that_hangs(creel, world):
    """The container survives a CRIU that does not answer; nobody waits for ever."""
    one = world().start()
    one.counts(3)
    aside = CRIU.with_name("criu.aside")
    CRIU.rename(aside)
    try:
        shutil.copy("/usr/bin/yes", CRIU)
        begin = time.monotonic()
        creel.options = ["--timeout", "2s"]
        creel.fails("said nothing", "checkpoint", "--image-path", one.images, one.name)
        assert time.monotonic() - begin < 20
    finally:
        creel.options = []
        aside.rename(CRIU)
    one.counts(one.count())


# ---- hostile images ----

FILESYSTEM, ROOT, POINT, SOURCE, OPTIONS, FLAGS, KEY = 1, 6, 7, 8, 9, 5, 18
MS_RDONLY = 1


def only(directory, pattern):
    """The one image of that name."""
    found, = directory.glob(pattern)
    return found


def table(directory):
    """The image of the mounts."""
    return only(directory, "mountpoints-*.img")


def new_mount(**fields):
    """Adds a copy of the mount at /tmp with other FIELDS."""
    numbers = {"filesystem": FILESYSTEM, "root": ROOT, "point": POINT, "source": SOURCE, "options": OPTIONS, "key": KEY}

    def change(directory):
        def add(records):
            copy = images.Message([item[:] for item in next(one for one in records if one.get(POINT) == b"/tmp")])
            copy.set(2, 9999)
            for name, value in fields.items():
                copy.set(numbers[name], value)
            records.append(copy)
        images.edit(table(directory), add)
    return change


def credentials(change):
    """Changes the credentials of the init."""
    def edit(directory):
        images.edit(directory / "core-1.img", lambda records: records[0].edit(
            5, lambda thread: thread.edit(10, change)))
    return edit


def host_namespace(field):
    """Puts the init into a namespace of the host."""
    def change(directory):
        inventory = images.Image(directory / "inventory.img")
        host = images.Message.parse(inventory.records[0].get(3)).get(field)
        images.edit(directory / "ids-1.img", lambda records: records[0].set(field, host))
    return change


def link(name, target):
    """Replaces an image by a link."""
    def change(directory):
        (directory / name).unlink(missing_ok=True)
        (directory / name).symlink_to(target)
    return change


HOSTILE = {
    "overlay of the host's directories": (new_mount(filesystem=17, point=b"/mnt", options=b"lowerdir=/etc:/root"),
                                          "a mount at /mnt that config.json does not name"),
    "host's devices": (new_mount(filesystem=3, point=b"/mnt", source=b"devtmpfs", options=b""), "a mount at /mnt"),
    "debugfs": (new_mount(filesystem=11, point=b"/sys/kernel/debug"), "a mount at /sys/kernel/debug"),
    "any filesystem by name": (new_mount(filesystem=16, point=b"/mnt", source=b"/dev/vda"), "a mount at /mnt"),
    "second procfs, without masks": (new_mount(filesystem=1, point=b"/mnt", source=b"proc"), "a mount at /mnt"),
    "another filesystem in the place of one": (lambda directory: images.edit(table(directory), lambda records: next(
        one for one in records if one.get(POINT) == b"/tmp").set(FILESYSTEM, 17)), "a mount at /tmp"),
    "overlay over the root": (new_mount(filesystem=17, point=b"/", options=b"lowerdir=/etc:/root"),
                              "a second mount at /"),
    "external mount of a path": (new_mount(point=b"/mnt", key=b"/etc"), "a mount at /mnt"),
    "external mount of a key that closes its bracket": (new_mount(point=b"/mnt", key=b"x]:/etc"), "a mount at /mnt"),
    "pages in a file of the host": (link("pages-1.img", "/etc/shadow"), "not a regular file"),
    "log in a file of the host": (link("stats-restore", "/etc/shadow"), "not a regular file"),
    "pages in a directory of the host": (link("parent", "/etc"), "said to follow those in"),
    "pages above": (link("parent", "../.."), "said to follow those in"),
    "pages in a pipe": (lambda directory: ((directory / "pages-1.img").unlink(),
                                           os.mkfifo(directory / "pages-1.img")), "not a regular file"),
    "image that others may change": (lambda directory: (directory / "core-1.img").chmod(0o666), "written to by others"),
    "more in the bounding set": (credentials(lambda creds: creds.set(12, 0xffffffff, 0x1ff)), "bounding set"),
    "more capabilities": (credentials(lambda creds: creds.set(10, 0xffffffff, 0x1ff)), "capabilities"),
    "no no_new_privs": (credentials(lambda creds: creds.set(18, 0)), "no_new_privs"),
    "a label": (credentials(lambda creds: creds.set(15, b"system_u:system_r:init_t:s0")), "label"),
    "a policy": (credentials(lambda creds: creds.set(17, b"x")), "AppArmor"),
    "another user": (credentials(lambda creds: [creds.set(field, 12) for field in range(1, 9)]), "other ids"),
    "two credentials": (lambda directory: images.edit(directory / "core-1.img", lambda records: records[0].edit(
        5, lambda thread: thread.append([10, thread.get(10)]))), "damaged"),
    "mounts of the host": (host_namespace(9), "mount namespace of the host"),
    "processes of the host": (host_namespace(5), "pid namespace of the host"),
    "network of the host": (host_namespace(6), "network namespace of the host"),
    "user namespace that is not named": (lambda directory: images.edit(
        directory / "ids-1.img", lambda records: records[0].set(10, 777)), "user namespace"),
    "another process that has no namespaces": (lambda directory: images.edit(
        directory / "pstree.img", lambda records: records.append(images.Message(
            [[1, 77], [2, 1], [3, 1], [4, 1], [5, 77]]))), "core-77.img"),
    "no tasks": (lambda directory: images.edit(directory / "pstree.img", lambda records: records.clear()), "damaged"),
    "no inventory": (lambda directory: (directory / "inventory.img").unlink(), "there is no checkpoint"),
}


@pytest.fixture(scope="module")
def saved(binary, programs, tmp_path_factory):
    """A world that has been checkpointed; its images are copied for each attack."""
    creel = harness.Creel(binary, tmp_path_factory.mktemp("saved"), programs)
    one = World(creel)
    one.change(lambda spec: (
        spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]}),
        spec["mounts"].append({"destination": "/etc/group", "type": "bind", "source": "/etc/group",
                               "options": ["bind", "ro"]}),
        [names.remove("CAP_KILL") for names in spec["process"]["capabilities"].values() if "CAP_KILL" in names]))
    one.start()
    one.counts(3)
    one.checkpoint()
    one.gone()
    yield one
    creel.run("delete", "--force", one.name)


def copy_of(one, directory):
    """The images, to be changed."""
    target = directory / "hostile"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(one.images, target, symlinks=True)
    target.chmod(0o700)
    return target


def test_images_that_are_left_alone(saved, tmp_path):
    """The control: what is refused below is refused for what was changed."""
    before = saved.count()
    saved.restore(images=copy_of(saved, tmp_path))
    saved.counts(before)
    saved.creel.ok("delete", "--force", saved.name)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(saved, tmp_path, name):
    change, phrase = HOSTILE[name]
    directory = copy_of(saved, tmp_path)
    change(directory)
    secret = pathlib.Path("/etc/shadow").read_bytes()
    begin = time.monotonic()
    saved.refused(phrase, images=directory)
    # Before CRIU has seen any of it.
    assert not (directory / "restore.log").exists() and time.monotonic() - begin < 20
    assert pathlib.Path("/etc/shadow").read_bytes() == secret


def test_damaged(saved, tmp_path):
    """Cut, or with bytes changed: refused or restored, but never a crash."""
    for pattern in ("inventory.img", "pstree.img", "ids-1.img", "core-1.img", "mountpoints-*.img"):
        size = only(saved.images, pattern).stat().st_size
        for cut in {0, 3, 4, 8, 9, size // 2, size - 1}:
            directory = copy_of(saved, tmp_path)
            os.truncate(only(directory, pattern), cut)
            saved.refused("", images=directory)


def test_a_mount_that_becomes_writable(saved, tmp_path):
    """What config.json has read-only is so in the container, whatever the images say."""
    directory = copy_of(saved, tmp_path)

    def change(records):
        for record in records:
            record.set(FLAGS, record.get(FLAGS) & ~MS_RDONLY)
    images.edit(table(directory), change)
    result = saved.creel.run("restore", "--image-path", directory, "--bundle", saved.bundle.path, "--detach",
                             saved.name, timeout=LONG)
    if result.code:
        assert "not what config.json says" in result.err, result
        assert saved.name not in saved.creel.ids()
        return
    mounts = saved.mounts()
    for point in ("/", "/etc/group", "/proc/sys", "/proc/keys", "/sys"):
        assert "ro" in mounts[point][1].split(","), (point, mounts[point])
    saved.creel.ok("delete", "--force", saved.name)


def test_another_cgroup(creel, world):
    """The cgroups of the images are those inside the container's."""
    one = world().start()
    one.counts(3)
    one.checkpoint("--manage-cgroups-mode", "soft")
    one.gone()
    cgroups = {path for path, _, _ in os.walk("/sys/fs/cgroup")}
    data = (one.images / "cgroup.img").read_bytes()
    (one.images / "cgroup.img").write_bytes(data.replace(one.name.encode(), b"../" + one.name.encode()[3:]))
    result = creel.run("restore", "--image-path", one.images, "--bundle", one.bundle.path, "--detach",
                       "--manage-cgroups-mode", "soft", one.name, timeout=LONG)
    if result.code == 0:
        inside = pathlib.Path(f"/proc/{one.pid()}/cgroup").read_text().strip()
        assert inside == f"0::/{one.name}" or inside.startswith(f"0::/{one.name}/"), inside
        creel.ok("delete", "--force", one.name)
    assert {path for path, _, _ in os.walk("/sys/fs/cgroup")} <= cgroups


def test_destinations_behind_links(creel, world):
    """A link of the image cannot choose what is mounted: CVE-2026-119101."""
    one = world()
    rootfs = one.bundle.rootfs
    (rootfs / "real").mkdir()
    (rootfs / "link").symlink_to("real")
    (rootfs / "d]:etc").mkdir()
    (rootfs / "trap").symlink_to("d]:etc")

    def at(destination):
        return lambda spec: spec["mounts"].append({"destination": destination, "type": "bind", "source": str(one.data),
                                                   "options": ["bind", "ro"]})
    one.change(at("/link/x")).start()
    one.counts(3)
    table_before = one.mounts()
    assert "/real/x" in table_before
    one.checkpoint()
    one.gone()
    one.restore()
    one.counts(one.count())
    assert one.mounts() == table_before
    creel.ok("delete", "--force", one.name)
    one.change(at("/trap/x")).start()
    one.counts(one.count())
    creel.fails("path with a bracket", "checkpoint", "--image-path", creel.directory / "other", one.name)
    one.counts(one.count())
