"""SELinux, in a boot of the laboratory that enforces it: process.selinuxLabel, linux.mountLabel, and the label of the keyring.

The name is not test_*.py, because the normal boot has AppArmor instead: tests/vm/run --selinux tests/vm/selinux.py
"""

import contextlib
import os
import pathlib
import subprocess
import tempfile

import credentials
import harness
import pytest
from test_checkpoint import COUNT, CRIU, world  # noqa: F401

LABEL = "system_u:system_r:container_t:s0:c1,c2"
OTHER = "system_u:system_r:container_t:s0:c3,c4"
FILES = "system_u:object_r:container_file_t:s0"
MOUNTS = "system_u:object_r:container_file_t:s0:c1,c2"
REFUSED = "system_u:system_r:no_such_t:s0"


@pytest.fixture(scope="session")
def apart():
    """As everywhere, but with files that container_t may read, run and write: its output goes there, not to a pipe."""
    harness.set_apart()
    path = pathlib.Path(tempfile.mkdtemp(prefix="creel-test-"))
    harness.mount("creel-test", path, "tmpfs", 0, f'mode=755,context="{FILES}"')
    yield path
    os.chdir("/")
    harness.unmount(path)
    path.rmdir()


def current(pid):
    """The label of a process, as the host sees it."""
    return pathlib.Path(f"/proc/{pid}/attr/current").read_text().strip("\0\n")


def test_enforcing():
    done = subprocess.run(["getenforce"], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "Enforcing\n"
    assert ":unconfined_t:" in current("self")


def test_init(creel):
    assert creel.probe("label", selinuxLabel=LABEL)["label"] == {"current": LABEL, "exec": ""}


def test_without_label(creel):
    label = creel.probe("label")["label"]["current"]
    assert label == current("self")


def test_exec(creel):
    """exec takes the container's label, and its own with --process-label."""
    with creel.running(creel.bundle("/bin/probe", "sleep", selinuxLabel=LABEL)) as name:
        pid = creel.state(name)["pid"]
        harness.wait_until(lambda: current(pid) == LABEL, "init has its label")
        sections = ("/bin/probe", "sections", "label")
        assert creel.ok("exec", name, *sections).json()["label"]["current"] == LABEL
        given = creel.ok("exec", "--process-label", OTHER, name, *sections).json()
        assert given["label"]["current"] == OTHER


def test_credentials(creel):
    """The whole matrix, with a label."""
    count, wrong = credentials.check(creel, ("selinuxLabel", LABEL, LABEL))
    assert count == 2 * 72
    assert not wrong, "\n".join(wrong)


def test_confined(creel):
    """The policy bites: container_t may not write a file of the kernel that root may."""
    words = ("/bin/probe", "open", "/sys/fs/selinux/enforce", "w")

    def see(spec):
        spec["mounts"].append({"destination": "/sys/fs/selinux", "type": "bind",
                               "source": "/sys/fs/selinux", "options": ["rbind", "rw"]})

    results = {}
    for label in (None, LABEL):
        bundle = creel.bundle(*words, **({"selinuxLabel": label} if label else {}))
        see(bundle.spec)
        results[label] = creel.run_bundle(bundle.write())
    assert results[None].code == 0, str(results[None])
    assert results[LABEL].code == 1, str(results[LABEL])
    assert "Permission denied" in results[LABEL].err


@pytest.mark.parametrize("keyring", [True, False])
def test_refused(creel, keyring):
    """The first attribute that takes the label is that of the keyring; without one it is that of exec."""
    bundle = creel.bundle("/bin/probe", "true", selinuxLabel=REFUSED)
    options = () if keyring else ("--no-new-keyring",)
    result = creel.fails(REFUSED, "run", "--bundle", bundle.path, *options, creel.id())
    attribute = "keycreate" if keyring else "exec"
    assert f"`/proc/self/attr/{attribute}`" in result.error["msg"]
    assert "/process/selinuxLabel" in result.err


def test_refused_exec(creel):
    with creel.running() as name:
        result = creel.fails(REFUSED, "exec", "--process-label", REFUSED, name, "/bin/probe",
                             "true", code=255)
        assert "`/proc/self/attr/exec`" in result.error["msg"]


def test_forbidden_transition(creel):
    """A label that exists, but that no program here may start in: execve fails, and nothing runs."""
    bundle = creel.bundle("/bin/probe", "echo", "started",
                          selinuxLabel="system_u:system_r:syslogd_t:s0")
    result = creel.run_bundle(bundle)
    assert result.code != 0
    assert "started" not in result.out
    assert "/bin/probe" in result.err


def test_keyring(creel):
    """The session keyring has the label of the process, not that of creel."""
    with creel.running(creel.bundle("/bin/probe", "sleep", selinuxLabel=LABEL)) as name:
        # The policy gives container_t no right to look at keys, even its own.
        keys = [line.split() for line in pathlib.Path("/proc/keys").read_text().splitlines()]
        number, = (key[0] for key in keys if key[7:9] == ["keyring", f"_ses.{name}:"])
        done = subprocess.run(["keyctl", "security", f"0x{number}"], stdout=subprocess.PIPE,
                              text=True, check=True)
        assert done.stdout.strip() == LABEL


def test_mount_label(creel):
    """New filesystems of memory get the label as their context; kernel's filesystems keep their own labels."""
    def change(spec):
        spec["linux"]["mountLabel"] = MOUNTS
        spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})

    mounts = {m["target"]: ",".join(m["super"])
              for m in creel.probe("mounts", change=change)["mounts"]}
    for target in ("/dev", "/dev/shm", "/tmp"):
        assert f'context="{MOUNTS}"' in mounts[target]
    for target in ("/proc", "/sys"):
        assert "context=" not in mounts[target]


def test_mount_label_in_use(creel):
    """A process with the categories of its mounts writes there; one with others does not."""
    results = {}
    for label in (LABEL, OTHER):
        bundle = creel.bundle("/bin/probe", "write", "/tmp/x", "text", selinuxLabel=label)
        bundle.spec["linux"]["mountLabel"] = MOUNTS
        bundle.spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
        results[label] = creel.run_bundle(bundle.write())
    assert results[LABEL].code == 0, str(results[LABEL])
    assert results[OTHER].code == 1, str(results[OTHER])
    assert "Permission denied" in results[OTHER].err


# ---- checkpoint and restore ----


def with_input(one, verb):
    """Runs one.start or one.restore with input that container_t may have: else the kernel gives it something of its own,
    which CRIU does not know."""
    path = one.data / "input"
    path.touch()
    with open(path, encoding="utf-8") as stdin:
        verb(stdin=stdin)
    one.counts(one.count() + 3)


def labelled(one):
    """Starts it."""
    with_input(one, one.start)
    assert current(one.pid()) == LABEL
    return one


@contextlib.contextmanager
def permissive():
    """The policy forbids nothing."""
    subprocess.run(["setenforce", "0"], check=True)
    try:
        yield
    finally:
        subprocess.run(["setenforce", "1"], check=True)


# A program of its own: container_t may not write to the container's /dev/null.
QUIET = COUNT.replace(" 2> /dev/null", "")


def test_checkpoint_that_the_policy_forbids(creel, world):  # noqa: F811
    """CRIU may not ask for userfaultfd: it says so, and the container goes on."""
    one = labelled(world(QUIET, selinuxLabel=LABEL))
    pathlib.Path("/run/criu.kdat").unlink(missing_ok=True)     # what it knows of the kernel
    result = creel.fails("criu could not do it", "checkpoint", "--image-path", one.images, one.name, timeout=120)
    assert "Permission denied" in result.error["msg"], result
    assert creel.status(one.name) == "running"
    one.counts(one.count())
    assert current(one.pid()) == LABEL


def test_checkpoint_and_restore_in_permissive_mode(creel, world):  # noqa: F811
    """The label comes back, with a CRIU that is built for it: `CRIU=... tests/vm/run --selinux`, tried with 4.2.1.  One that
    is not, as Debian's, cannot restore a container that has one; nothing is left, and what the restore takes is said."""
    linked = subprocess.run(["ldd", CRIU], capture_output=True, text=True, check=True, timeout=60).stdout
    one = labelled(world(QUIET, selinuxLabel=LABEL))
    with permissive():
        one.checkpoint()
        one.gone()
        if "libselinux" in linked:
            with_input(one, one.restore)
            assert current(one.pid()) == LABEL
            return
        result = one.refused("criu could not do it")
        assert "selinux LSM specified" in result.error["msg"], result
        assert "built without SELinux" in result.err and str(one.images / "restore.log") in result.err, result
        one.gone()
        # The images are good, and without a label in the document the container has creel's.
        one.change(lambda spec: spec["process"].pop("selinuxLabel"))
        with_input(one, one.restore)
        assert current(one.pid()) == current("self")
