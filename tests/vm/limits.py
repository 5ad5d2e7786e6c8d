"""What the tests of limits share: containers with limits, and the kernel's files."""

import contextlib
import pathlib

CGROUPS = pathlib.Path("/sys/fs/cgroup")
MIB = 1 << 20
SLEEP = ("/bin/probe", "sleep")


def read(name, file):
    """A file of the container's cgroup."""
    return (CGROUPS / name / file).read_text().strip()


def bundle(creel, name, *args, change=None, devices=None, **resources):
    """A bundle whose cgroup is /NAME, with RESOURCES."""
    result = creel.bundle(*(args or SLEEP))
    linux = result.spec["linux"]
    linux["cgroupsPath"] = f"/{name}"
    linux["resources"].update(resources)
    if devices is not None:
        linux["resources"]["devices"] = devices
    if change:
        change(result.spec)
    return result.write()


@contextlib.contextmanager
def container(creel, *args, **more):
    """A running container; its name, which is that of its cgroup too."""
    name = creel.id("vm")
    with creel.running(bundle(creel, name, *args, **more), name=name):
        yield name


def run(creel, *args, **more):
    """A container in the foreground; its result and its name."""
    name = creel.id("vm")
    return creel.run("run", "--bundle", bundle(creel, name, *args, **more).path, name), name


def disk():
    """(major, minor) of the laboratory's disk."""
    return tuple(map(int, pathlib.Path("/sys/block/vda/dev").read_text().split(":")))
