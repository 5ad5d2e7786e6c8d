"""NOTIFY_SOCKET: a container's READY=1 reaches the service manager that started us, and nothing else of it does."""

import os
import select
import socket
import time

import harness
import pytest

SCRIPT = "probe notify 'READY=1\nSTATUS=mine\nMAINPID=1' && exec probe sleep"


class Manager:
    """A service manager's end of the socket."""

    def __init__(self, name):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.env = {"NOTIFY_SOCKET": name}

    def receive(self, timeout=harness.TIMEOUT):
        """The next message; a barrier's descriptor is closed, as systemd does."""
        assert select.select([self.socket], [], [], timeout)[0], "no message came"
        data, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
        for fd in fds:
            os.close(fd)
        return data.decode(), len(fds)

    def is_silent(self):
        """Whether nothing is there to read."""
        return not select.select([self.socket], [], [], 0)[0]


    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()


@pytest.fixture
def manager(creel):
    """A manager with a socket in the file system."""
    with Manager(str(creel.directory / "manager")) as manager:
        yield manager


def check_ready(creel, manager, name):
    """MAINPID and READY in one message, then a barrier."""
    pid = creel.state(name)["pid"]
    assert manager.receive() == (f"MAINPID={pid}\nREADY=1", 0)
    assert manager.receive() == ("BARRIER=1", 1)


def shell(creel, script):
    return creel.bundle("/bin/busybox", "sh", "-c", script)


def test_start(creel, manager):
    name = creel.create(shell(creel, SCRIPT), env=manager.env)
    assert manager.is_silent()
    start = creel.spawn("start", name, env=manager.env)
    check_ready(creel, manager, name)
    assert start.wait().code == 0 and start.result.err == ""
    assert manager.is_silent()
    creel.ok("delete", "--force", name)


def test_start_waits_until_it_is_ready(creel, manager):
    bundle = shell(creel, f"until test -e /go; do busybox sleep 0.05; done; {SCRIPT}")
    name = creel.create(bundle, env=manager.env)
    start = creel.spawn("start", name, env=manager.env)
    creel.wait_status(name, "running")
    time.sleep(0.3)
    assert start.process.poll() is None and manager.is_silent()
    # nobody else has to wait
    creel.ok("exec", name, "/bin/probe", "true")
    (bundle.rootfs / "go").touch()
    check_ready(creel, manager, name)
    assert start.wait().code == 0
    creel.ok("delete", "--force", name)


def test_detached_run(creel, manager):
    name = creel.id()
    run = creel.spawn("run", "--detach", "--bundle", shell(creel, SCRIPT).path, name,
                      env=manager.env)
    message, _ = manager.receive()
    assert manager.receive() == ("BARRIER=1", 1)
    assert run.wait().code == 0
    assert message == f"MAINPID={creel.state(name)['pid']}\nREADY=1"
    creel.ok("delete", "--force", name)


def test_abstract_socket(creel):
    with Manager(f"@creel-test-{os.getpid()}") as manager:
        name = creel.create(shell(creel, SCRIPT), env=manager.env)
        start = creel.spawn("start", name, env=manager.env)
        check_ready(creel, manager, name)
        assert start.wait().code == 0
        creel.ok("delete", "--force", name)


def test_foreground_relays_for_its_life(creel, manager):
    script = ("probe notify READY=1; probe notify BARRIER=1 && echo taken;"
              "probe notify 'STOPPING=1\nFDSTORE=1'; probe notify MAINPID=1; exit 7")
    result = creel.run("run", "--bundle", shell(creel, script).path, creel.id(), env=manager.env)
    assert result.code == 7 and result.out == "taken\n", str(result)
    assert manager.receive() == ("READY=1\n", 0)
    assert manager.receive() == ("STOPPING=1\n", 0)
    assert manager.is_silent()


def test_user_namespace(creel, manager):
    bundle = creel.bundle("/bin/busybox", "sh", "-c", SCRIPT, userns=True)
    bundle.spec["process"]["user"] = {"uid": 7, "gid": 7}
    name = creel.create(bundle.write(), env=manager.env)
    start = creel.spawn("start", name, env=manager.env)
    check_ready(creel, manager, name)
    assert start.wait().code == 0
    creel.ok("delete", "--force", name)


def test_end_without_notice(creel, manager):
    name = creel.create(creel.bundle("/bin/probe", "exit", "3"), env=manager.env)
    assert creel.run("start", name, env=manager.env).code == 0
    assert manager.is_silent()
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)


def test_what_the_container_sees(creel, manager):
    report = creel.probe("env", "mounts", env=manager.env)
    assert "NOTIFY_SOCKET=/run/notify/notify.sock" in report["env"]
    mount = [line for line in map(str, report["mounts"]) if "/run/notify" in line]
    assert len(mount) == 1 and "nosuid" in mount[0] and "noexec" in mount[0], mount
    bundle = creel.bundle("/bin/probe", "open", "/run/notify/new", "create")
    assert creel.run_bundle(bundle, env=manager.env).code != 0
    assert not any(text.startswith("NOTIFY_SOCKET") for text in creel.probe("env")["env"])


def test_nobody_listens(creel):
    bundle = creel.bundle("/bin/probe", "exit", "4")
    result = creel.run_bundle(bundle, env={"NOTIFY_SOCKET": str(creel.directory / "missing")})
    assert result.code == 4 and "nobody will be notified" in result.err, str(result)
