"""AppArmor, in the laboratory's normal boot: what process.apparmorProfile and `exec --apparmor` do to a process."""

import pathlib
import subprocess

import harness
import pytest

pytestmark = pytest.mark.skipif(not pathlib.Path("/sys/kernel/security/apparmor").is_dir(),
                                reason="needs AppArmor: tests/vm/run")

PROFILES = {
    "creel-lab-init": "file, capability, network, signal, ptrace, unix,\n"
                      "deny /etc/passwd r,",
    "creel-lab-exec": "file, capability, network, signal, ptrace, unix,\n"
                      "deny /etc/group r,",
    # Everything that creel does, but for the right to give a process another profile.
    "creel-lab-caller": "file, capability, network, mount, umount, pivot_root, signal, ptrace, unix, dbus,",
}
STACK = "creel-lab-init//&creel-lab-exec"
CURRENT = "/proc/self/attr/apparmor/current"


@pytest.fixture(scope="module", autouse=True)
def profiles():
    """Two profiles of the kernel, each with a file that it does not let one read."""
    text = "".join(f"profile {name} flags=(attach_disconnected) {{\n{rules}\n}}\n"
                   for name, rules in PROFILES.items())
    parser = ["apparmor_parser", "--skip-cache"]
    subprocess.run([*parser, "--replace"], input=text, text=True, check=True, timeout=60)
    yield
    subprocess.run([*parser, "--remove"], input=text, text=True, check=True, timeout=60)


def may_read(creel, name, path, *options):
    """Whether a program that joins the container can read a file."""
    return creel.run("exec", *options, name, "/bin/probe", "read", path).code == 0


def test_init(creel):
    result = creel.run_bundle(creel.bundle("/bin/probe", "read", CURRENT,
                                           apparmorProfile="creel-lab-init"))
    assert result.code == 0, str(result)
    assert result.out.strip("\n\0") == "creel-lab-init (enforce)"


def test_init_is_confined(creel):
    # The same program may do it without a profile: what refuses is the profile.
    words = ("/bin/probe", "read", "/etc/passwd")
    assert creel.run_bundle(creel.bundle(*words)).code == 0
    assert creel.run_bundle(creel.bundle(*words, apparmorProfile="creel-lab-init")).code != 0


def test_without_securityfs(creel):
    # So Podman starts a runtime with --userns auto: something covers /sys/kernel.
    creel.prefix = ["unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /sys/kernel; exec "$@"', "sh"]
    result = creel.run_bundle(creel.bundle("/bin/probe", "read", CURRENT,
                                           apparmorProfile="creel-lab-init"))
    assert result.code == 0, str(result)
    assert result.out.strip("\n\0") == "creel-lab-init (enforce)"


@pytest.mark.parametrize("privileges", [True, False])
def test_exec(creel, privileges):
    bundle = creel.bundle("/bin/probe", "sleep", apparmorProfile="creel-lab-init",
                          noNewPrivileges=privileges)
    with creel.running(bundle) as name:
        pid = creel.state(name)["pid"]
        harness.wait_until(
            lambda: pathlib.Path(f"/proc/{pid}/attr/apparmor/current").read_text().strip()
            == "creel-lab-init (enforce)", "init is confined")
        inherited = creel.ok("exec", name, "/bin/probe", "read", CURRENT)
        assert inherited.out.strip() == "creel-lab-init (enforce)"
        assert not may_read(creel, name, "/etc/passwd")
        assert may_read(creel, name, "/etc/group")

        other = ("--apparmor", "creel-lab-exec")
        given = creel.ok("exec", *other, name, "/bin/probe", "read", CURRENT)
        assert given.out.strip() == "creel-lab-exec (enforce)"
        assert may_read(creel, name, "/etc/passwd", *other)
        assert not may_read(creel, name, "/etc/group", *other)


@pytest.mark.parametrize("profile", ["unconfined", "", None])
def test_unconfined(creel, profile):
    more = {} if profile is None else {"apparmorProfile": profile}
    result = creel.run_bundle(creel.bundle("/bin/probe", "read", CURRENT, **more))
    assert result.code == 0, str(result)
    assert result.out.strip() == "unconfined"


def test_unknown_profile(creel):
    bundle = creel.bundle("/bin/probe", "true", apparmorProfile="creel-lab-nobody")
    creel.fails("creel-lab-nobody", "run", "--bundle", bundle.path, creel.id())


def test_unknown_profile_of_exec(creel):
    with creel.running() as name:
        creel.fails("creel-lab-nobody", "exec", "--apparmor", "creel-lab-nobody", name,
                    "/bin/probe", "true", code=255)


def covered(creel, where):
    """A bundle that covers WHERE of /proc with files of the image, which is to swallow the label."""
    bundle = creel.bundle("/bin/probe", "read", "/etc/passwd", apparmorProfile="creel-lab-init")
    fake = creel.directory / "proc"
    for name in ("self/attr/exec", "self/attr/current", "self/attr/apparmor/exec"):
        (fake / name).parent.mkdir(parents=True, exist_ok=True)
        (fake / name).write_text("fake\n")
    bundle.spec["mounts"].append({"destination": where, "type": "bind", "options": ["bind", "rw"],
                                  "source": str(creel.directory / where.lstrip("/"))})
    return bundle.write(), fake


@pytest.mark.parametrize("where", ["/proc/self/attr", "/proc/self/attr/apparmor/exec"])
def test_covered_attributes(creel, where):
    bundle, fake = covered(creel, where)
    creel.fails(f'"{where}" cannot be mounted', "run", "--bundle", bundle.path, creel.id())
    assert (fake / "self/attr/apparmor/exec").read_text() == "fake\n"


def test_covered_proc(creel):
    """A whole /proc may come from outside; the label goes to the kernel's nevertheless."""
    bundle, fake = covered(creel, "/proc")
    bundle.spec["linux"].update(maskedPaths=[], readonlyPaths=[])
    result = creel.run_bundle(bundle.write())
    assert result.code != 0, str(result)
    assert "root:x:0:0" not in result.out
    assert (fake / "self/attr/exec").read_text() == "fake\n"
    assert (fake / "self/attr/apparmor/exec").read_text() == "fake\n"


def test_stacked(creel):
    """What one profile of a stack denies is denied, by start and by exec."""
    bundle = creel.bundle("/bin/probe", "read", CURRENT, apparmorProfile=STACK)
    result = creel.run_bundle(bundle)
    assert result.code == 0, str(result)
    names = {part.partition(" ")[0] for part in result.out.strip("\n\0").split("//&")}
    assert names == {"creel-lab-init", "creel-lab-exec"}
    for path in ("/etc/passwd", "/etc/group"):
        assert creel.run_bundle(creel.bundle("/bin/probe", "read", path)).code == 0
        assert creel.run_bundle(creel.bundle("/bin/probe", "read", path, apparmorProfile=STACK)).code != 0
    with creel.running() as name:
        for path in ("/etc/passwd", "/etc/group"):
            assert may_read(creel, name, path)
            assert not may_read(creel, name, path, "--apparmor", STACK)


def test_stack_with_an_unknown_profile(creel):
    bundle = creel.bundle("/bin/probe", "true", apparmorProfile="creel-lab-init//&creel-lab-nobody")
    result = creel.fails("creel-lab-nobody", "run", "--bundle", bundle.path, creel.id())
    assert "is not loaded" in result.err


@pytest.mark.parametrize("profile", ["creel-lab-init", STACK, "unconfined"])
def test_refused_by_the_policy(creel, profile):
    """A caller whose own profile may not change profiles: the program does not start without its label."""
    words = ("/bin/probe", "echo", "started")
    creel.prefix = ["aa-exec", "-p", "creel-lab-caller", "--"]
    plain = creel.run_bundle(creel.bundle(*words))
    assert (plain.code, plain.out) == (0, "started\n"), str(plain)
    result = creel.run_bundle(creel.bundle(*words, apparmorProfile=profile))
    assert result.code != 0, str(result)
    assert "started" not in result.out
    assert f"setting the AppArmor profile {profile}" in result.err
    assert "ermission denied" in result.err or "not permitted" in result.err
    assert "/process/apparmorProfile" in result.err


def test_attributes_that_the_host_has_covered(creel):
    """A mount over a part of creel's own /proc is no place to write a label to."""
    fake = creel.directory / "attr"
    (fake / "apparmor").mkdir(parents=True)
    for name in ("exec", "current", "apparmor/exec", "apparmor/current"):
        (fake / name).write_text("fake\n")
    # The pid of what a shell executes is the shell's own.
    creel.prefix = ["unshare", "--mount", "sh", "-c",
                    f'mount --bind {fake} /proc/$$/attr && exec "$@"', "sh"]
    bundle = creel.bundle("/bin/probe", "read", "/etc/passwd", apparmorProfile="creel-lab-init")
    result = creel.run_bundle(bundle)
    assert "root:x:0:0" not in result.out, str(result)
    assert (fake / "exec").read_text() == (fake / "apparmor/exec").read_text() == "fake\n"
