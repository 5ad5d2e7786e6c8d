"""What the tests of the spec are written with, beside the harness of all system tests."""

import contextlib
import json
import os
import pathlib
import subprocess
import time

import harness

# The namespaces by their names in the spec, and in /proc/PID/ns.
NAMESPACES = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts",
              "user": "user", "cgroup": "cgroup", "time": "time"}
UNSHARE = {"pid": "--pid", "network": "--net", "mount": "--mount", "ipc": "--ipc", "uts": "--uts",
           "user": "--user", "cgroup": "--cgroup", "time": "--time"}
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SYS_ADMIN", "CAP_SYS_NICE",
                "CAP_MKNOD", "CAP_SETUID", "CAP_SETGID", "CAP_NET_ADMIN"]


def mount_at(report, target):
    """The topmost mount at TARGET in a report of the probe."""
    found = [mount for mount in report["mounts"] if mount["target"] == target]
    assert found, f"nothing is mounted at {target}: {[m['target'] for m in report['mounts']]}"
    return found[-1]


def mounted(report, target):
    """Whether something is mounted at TARGET."""
    return any(mount["target"] == target for mount in report["mounts"])


def add_mount(spec, destination, kind=None, source=None, options=None, **more):
    """Appends a mount to SPEC."""
    mount = {"destination": destination, **more}
    for key, value in (("type", kind), ("source", source), ("options", options)):
        if value is not None:
            mount[key] = str(value) if key == "source" else value
    spec["mounts"].append(mount)
    return spec


def all_capabilities(spec):
    """Gives the container's program what small system calls need."""
    spec["process"]["capabilities"] = {
        name: list(CAPABILITIES) for name in ("bounding", "effective", "permitted")}


def drop_namespace(spec, kind):
    """Takes the namespace KIND out of SPEC."""
    spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != kind]


def set_namespace(spec, kind, path=None):
    """Makes SPEC create the namespace KIND, or join the one at PATH."""
    drop_namespace(spec, kind)
    spec["linux"]["namespaces"].append({"type": kind, **({"path": path} if path else {})})


def map_ids(spec, *ranges):
    """Gives SPEC a new user namespace with RANGES of (inside, outside, size)."""
    set_namespace(spec, "user")
    for name in ("uidMappings", "gidMappings"):
        spec["linux"][name] = ids(*ranges)


def ids(*ranges):
    """Mappings as the spec writes them."""
    return [{"containerID": c, "hostID": h, "size": s} for c, h, s in ranges]


def refused(creel, bundle, pointer, phrase="", *options):
    """`create` fails, names POINTER, says PHRASE, and leaves nothing behind."""
    name = creel.id()
    result = creel.fails(phrase, "create", "--bundle", bundle.path, *options, name)
    assert result.error.get("pointer") == pointer, result.error
    assert not (creel.root / name).exists(), f"the state of {name} is still there"
    return result


def changed(creel, change, *args, **more):
    """A bundle whose spec CHANGE(spec) has altered."""
    bundle = creel.bundle(*(args or ("/bin/probe", "true")), **more)
    change(bundle.spec)
    return bundle.write()


def run_shell(creel, script, change=None, code=0, **more):
    """Runs a script of busybox in a container and returns what it printed."""
    bundle = creel.shell(script, **more)
    if change:
        change(bundle.spec)
        bundle.write()
    result = creel.run_bundle(bundle)
    assert result.code == code, str(result)
    return result.out


def probe_command(creel, *words, change=None, code=0, **more):
    """Runs a command of the probe in a container and returns the result."""
    bundle = creel.bundle("/bin/probe", *words, **more)
    if change:
        change(bundle.spec)
        bundle.write()
    result = creel.run_bundle(bundle)
    assert result.code == code, str(result)
    return result


def write_raw(bundle):
    """Writes the spec of BUNDLE as it is, root path and all."""
    return bundle.write_text(json.dumps(bundle.spec))


def writable(spec):
    """Makes the root of SPEC writable."""
    spec["root"]["readonly"] = False
    return spec


@contextlib.contextmanager
def holder(*kinds, offsets=()):
    """A process in new namespaces of KINDS; yields its pid."""
    words = ["unshare", *(UNSHARE[kind] for kind in kinds), *offsets]
    if "user" in kinds:
        words.append("--map-root-user")
    if "pid" in kinds or "time" in kinds:
        words.append("--fork")
    with subprocess.Popen([*words, "busybox", "sleep", "1000"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL) as process:
        try:
            yield harness.wait_until(lambda: sleeper(process), "the holder sleeps")
        finally:
            child = sleeper(process)
            if child and child != process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, 9)
            process.kill()


def sleeper(process):
    """The pid of the one that sleeps: the process, or its child."""
    for pid in (process.pid, *children(process.pid)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"busybox\0sleep"):
                return pid
    return None


def children(pid):
    """The children of PID."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in text.split()]
    return []


def inode(pid, kind):
    """The inode of a namespace of PID; KIND as the spec calls it."""
    return os.stat(f"/proc/{pid}/ns/{NAMESPACES[kind]}").st_ino


def collect(listener, seconds=harness.TIMEOUT):
    """Accepts one connection on LISTENER within SECONDS."""
    listener.settimeout(seconds)
    connection, _ = listener.accept()
    connection.settimeout(seconds)
    return connection


def wait_file(path, seconds=harness.TIMEOUT):
    """The text of a file that somebody is about to write."""
    end = time.monotonic() + seconds
    path = pathlib.Path(path)
    while not path.exists() or not path.read_text():
        assert time.monotonic() < end, f"{path} was not written"
        time.sleep(0.01)
    return path.read_text()
