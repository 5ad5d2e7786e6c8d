"""share/apparmor/creel, loaded: it gives user namespaces to /usr/bin/creel, and takes nothing from anybody."""

import pathlib
import shutil
import subprocess

import harness
import pytest

pytestmark = pytest.mark.skipif(not pathlib.Path("/sys/kernel/security/apparmor").is_dir(),
                                reason="needs AppArmor: tests/vm/run")

TOP = pathlib.Path(__file__).resolve().parents[2]
INSTALLED = pathlib.Path("/usr/bin/creel")
RESTRICT = pathlib.Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
CURRENT = "/proc/self/attr/apparmor/current"

# What engines load for containers: signals come from programs without a profile, runc and crun.
# And a profile without user namespaces, from which creel enters its own.
OTHERS = """abi <abi/4.0>,
profile creel-lab-engine flags=(attach_disconnected,mediate_deleted) {
  file, capability, network, umount,
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send,receive) peer=creel-lab-engine,
}
profile creel-lab-restricted flags=(attach_disconnected) {
  file, capability, network, signal, ptrace, unix, mount, umount, pivot_root, dbus, mqueue,
  /usr/bin/creel px -> creel,
}
"""


def parser(action, text):
    subprocess.run(["apparmor_parser", "--skip-cache", action], input=text, text=True, check=True,
                   timeout=60)


@pytest.fixture(scope="module", autouse=True)
def profiles(binary):
    """The program where packages install it, and the profiles in the kernel."""
    text = (TOP / "share/apparmor/creel").read_text()
    shutil.copy(binary, INSTALLED)
    parser("--replace", text)
    parser("--replace", OTHERS)
    yield
    parser("--remove", OTHERS)
    parser("--remove", text)
    INSTALLED.unlink()


@pytest.fixture
def creel(creel):
    creel.binary = str(INSTALLED)
    return creel


def as_user(creel, words, restricted=False):
    """Runs WORDS as the laboratory's user, perhaps in the profile without user namespaces."""
    if restricted:
        # aa-exec's own program gets the profile by name: what it starts then follows the rules.
        words = ["aa-exec", "-p", "creel-lab-restricted", "--", "env", *words]
    return subprocess.run(["setpriv", "--reuid=creel", "--regid=creel", "--init-groups", *words],
                          capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": "/usr/bin:/usr/sbin:/bin", "HOME": "/home/creel",
                               "XDG_RUNTIME_DIR": "/run/user/1000"})


def rootless_bundle(creel):
    """A bundle for the laboratory's user that prints its label."""
    bundle = creel.bundle("/bin/probe", "read", CURRENT, rootless=True)
    for key in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][key] = [{"containerID": 0, "hostID": 1000, "size": 1}]
    bundle.write()
    subprocess.run(["chown", "-R", "creel:creel", str(creel.directory)], check=True)
    return bundle


def test_user_namespaces(creel):
    bundle = rootless_bundle(creel)
    refused = as_user(creel, ["unshare", "--user", "true"], restricted=True)
    assert refused.returncode != 0, "the test's own profile allows user namespaces"
    done = as_user(creel, [str(INSTALLED), "--root", str(creel.root), "run", "--bundle",
                           str(bundle.path), creel.id()], restricted=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip("\0\n") == "creel (unconfined)"


@pytest.mark.skipif(not RESTRICT.exists(), reason="this kernel has no "
                    "kernel.apparmor_restrict_unprivileged_userns (Ubuntu's has)")
def test_restricted_host(creel):
    before = RESTRICT.read_text()
    RESTRICT.write_text("1\n")
    try:
        bundle = rootless_bundle(creel)
        done = as_user(creel, [str(INSTALLED), "--root", str(creel.root), "run", "--bundle",
                               str(bundle.path), creel.id()])
        assert done.returncode == 0, done.stderr
    finally:
        RESTRICT.write_text(before)


def test_signals_to_an_engine_container(creel):
    """A profile that knows creel by no name takes its signals, too."""
    bundle = creel.bundle("/bin/probe", "sleep", apparmorProfile="creel-lab-engine")
    with creel.running(bundle) as name:
        pid = creel.state(name)["pid"]
        harness.wait_until(
            lambda: pathlib.Path(f"/proc/{pid}/attr/apparmor/current").read_text().strip()
            == "creel-lab-engine (enforce)", "init is confined")
        creel.ok("exec", name, "/bin/probe", "true")
        creel.ok("kill", name, "KILL")
        creel.wait_status(name, "stopped")


def test_delete_of_an_engine_container(creel):
    bundle = creel.bundle("/bin/probe", "sleep", apparmorProfile="creel-lab-engine")
    with creel.running(bundle) as name:
        creel.ok("delete", "--force", name)
        assert name not in creel.ids()
