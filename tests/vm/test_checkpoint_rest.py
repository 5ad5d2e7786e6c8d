"""The options of `checkpoint` and `restore` that are asked for rarely: names that are gone, half-made connections, firewalls, labels."""

import os
import pathlib
import re
import socket

import harness
import pytest
from terminals import ConsoleSocket
from test_apparmor import profiles  # noqa: F401
from test_checkpoint import COUNT, LONG, join_network, network, python, world  # noqa: F401
from test_checkpoint_options import SERVER

pytestmark = pytest.mark.skipif(os.environ.get("CREEL_LAB") != "full", reason="needs the full laboratory")


def test_link_remap(creel, world):  # noqa: F811
    """An open file that has another name than the one it was opened by: CRIU gives it one for the time between."""
    one = world("exec 9> /data/first; /bin/busybox ln /data/first /data/second; /bin/busybox rm /data/first; " + COUNT).start()
    one.counts(3)
    creel.fails("criu could not do it", "checkpoint", "--image-path", creel.directory / "first", one.name, timeout=LONG)
    assert creel.status(one.name) == "running"
    one.counts(one.count())
    one.checkpoint("--link-remap")
    one.gone()
    assert len(list(one.data.glob("link_remap*"))) == 1
    one.restore("--link-remap")
    one.counts(one.count())
    assert os.stat(f"/proc/{one.pid()}/fd/9").st_ino == (one.data / "second").stat().st_ino
    assert sorted(path.name for path in one.data.iterdir() if not path.name.startswith("count")) == ["second"]


def test_pidfd_at_restore(creel, world):  # noqa: F811
    one = world().start()
    one.counts(3)
    one.checkpoint()
    one.gone()
    with ConsoleSocket(creel.directory / "pidfd") as listener:
        one.restore("--pidfd-socket", listener.path)
        fd = listener.receive()
        pid = re.search(r"^Pid:\s*(\d+)$", pathlib.Path(f"/proc/self/fdinfo/{fd}").read_text(), re.M).group(1)
        os.close(fd)
    assert int(pid) == one.pid()


LISTENER = """
import socket, time
listener = socket.socket()
listener.bind(("10.78.2.2", 7779))
listener.listen()
while True:
    time.sleep(1)
"""


def listens(one, port):
    """Waits until it does."""
    harness.wait_until(lambda: f":{port:04X} ".encode() in pathlib.Path(f"/proc/{one.pid()}/net/tcp").read_bytes(), "listening")


def test_tcp_in_flight(creel, world):  # noqa: F811
    """A connection that nobody has accepted is refused, or left out."""
    with network("crflight", "10.78.2.2", "10.78.2.1") as path:
        one = python(world(), LISTENER).change(join_network(path)).start()
        listens(one, 7779)
        with socket.create_connection(("10.78.2.2", 7779), timeout=LONG):
            refused = creel.fails("criu could not do it", "checkpoint", "--image-path", creel.directory / "first",
                                  "--tcp-established", one.name, timeout=LONG)
            assert "n-flight" in refused.error["msg"], refused
            assert creel.status(one.name) == "running"
            one.checkpoint("--tcp-established", "--tcp-skip-in-flight")
            one.gone()
        one.restore("--tcp-established")
        listens(one, 7779)
        socket.create_connection(("10.78.2.2", 7779), timeout=LONG).close()


@pytest.mark.parametrize("way", ["nftables", "skip"])
def test_network_lock(creel, world, way):  # noqa: F811
    """However the network is held meanwhile, the connection lives on."""
    with network("crlock", "10.78.1.2", "10.78.1.1") as path:
        one = python(world(), SERVER).change(join_network(path)).start()
        listens(one, 7778)
        with socket.create_connection(("10.78.1.2", 7778), timeout=LONG) as connection:
            one.checkpoint("--tcp-established", "--network-lock", way, "--leave-running")
            connection.sendall(b"one\n")
            assert connection.recv(100) == b"got one\n"


def test_lsm_profile(creel, world):  # noqa: F811
    """The label of the images' processes comes back, or another one is given to them."""
    one = world(apparmorProfile="creel-lab-init").start()

    def label():
        return pathlib.Path(f"/proc/{one.pid()}/attr/apparmor/current").read_text().strip()
    one.counts(3)
    assert label() == "creel-lab-init (enforce)"
    one.checkpoint()
    one.gone()
    one.restore()
    one.counts(one.count())
    assert label() == "creel-lab-init (enforce)"
    creel.ok("delete", "--force", one.name)
    one.restore("--lsm-profile", "apparmor:creel-lab-exec")
    one.counts(one.count())
    assert label() == "creel-lab-exec (enforce)"
