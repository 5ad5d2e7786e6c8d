"""config.md, "Mounts": every option, where mounts go, and what they are made of."""

import os
import pathlib
import stat

import harness
import pytest

from .words import (add_mount, changed, drop_namespace, ids, map_ids, mount_at, mounted,
                    probe_command, refused, run_shell, writable)

# What mountinfo says of a mount with the option, and of a mount with its opposite: words that are
# there, and words that are not.  Options of the filesystem as a whole are in its own list.
MOUNT_OPTIONS = {
    "ro": ({"ro"}, {"rw"}), "rw": ({"rw"}, {"ro"}),
    "nosuid": ({"nosuid"}, set()), "suid": (set(), {"nosuid"}),
    "nodev": ({"nodev"}, set()), "dev": (set(), {"nodev"}),
    "noexec": ({"noexec"}, set()), "exec": (set(), {"noexec"}),
    "noatime": ({"noatime"}, {"relatime"}), "atime": ({"relatime"}, {"noatime"}),
    "nodiratime": ({"nodiratime"}, set()), "diratime": (set(), {"nodiratime"}),
    "relatime": ({"relatime"}, {"noatime"}), "norelatime": (set(), {"noatime"}),
    "strictatime": (set(), {"relatime", "noatime"}), "nostrictatime": ({"relatime"}, {"noatime"}),
    "nosymfollow": ({"nosymfollow"}, set()), "symfollow": (set(), {"nosymfollow"}),
    "defaults": ({"rw", "relatime"}, {"nosuid", "nodev", "noexec"}),
    "silent": ({"rw"}, set()), "loud": ({"rw"}, set()),
    "iversion": ({"rw"}, set()), "noiversion": ({"rw"}, set()),
}
SUPERBLOCK_OPTIONS = {
    "sync": ({"sync"}, set()), "async": (set(), {"sync"}),
    "dirsync": ({"dirsync"}, set()),
    "lazytime": ({"lazytime"}, set()), "nolazytime": (set(), {"lazytime"}),
    "mand": ({"mand"}, set()), "nomand": (set(), {"mand"}),
}
# The option that an option undoes when it comes later.
OPPOSITES = [("ro", "rw"), ("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec"),
             ("noatime", "atime"), ("nodiratime", "diratime"), ("strictatime", "nostrictatime"),
             ("strictatime", "relatime"), ("noatime", "relatime"), ("nosymfollow", "symfollow")]
RECURSIVE = {
    "rro": ({"ro"}, set()), "rrw": ({"rw"}, {"ro"}),
    "rnosuid": ({"nosuid"}, set()), "rsuid": (set(), {"nosuid"}),
    "rnodev": ({"nodev"}, set()), "rdev": (set(), {"nodev"}),
    "rnoexec": ({"noexec"}, set()), "rexec": (set(), {"noexec"}),
    "rnodiratime": ({"nodiratime"}, set()), "rdiratime": (set(), {"nodiratime"}),
    "rnoatime": ({"noatime"}, set()), "ratime": (set(), {"noatime"}),
    "rrelatime": ({"relatime"}, set()), "rnorelatime": (set(), set()),
    "rstrictatime": (set(), {"relatime", "noatime"}), "rnostrictatime": ({"relatime"}, set()),
    "rnosymfollow": ({"nosymfollow"}, set()), "rsymfollow": (set(), {"nosymfollow"}),
}
# What the two mounts of a source are made with, so that clearing an option shows.
UNDOES = {"rrw": ["ro"], "rsuid": ["nosuid"], "rdev": ["nodev"], "rexec": ["noexec"],
          "rdiratime": ["nodiratime"], "ratime": ["noatime"], "rsymfollow": ["nosymfollow"],
          "rnostrictatime": ["strictatime"]}
FLAGS = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "nodiratime": 2048, "noatime": 1024,
         "strictatime": 1 << 24, "nosymfollow": 256}
MS_BIND, MS_REMOUNT, MS_SHARED, MS_REC = 4096, 32, 1 << 20, 16384


def has(words, expected):
    """Whether WORDS has what is expected, and has not what is not."""
    wanted, unwanted = expected
    return wanted <= set(words) and not unwanted & set(words)


def tree(creel, options=()):
    """A directory with a tmpfs at it and another one below; both are mounted with OPTIONS."""
    top = creel.directory / f"tree-{creel.number()}"
    flags = sum(FLAGS[option] for option in options)
    top.mkdir()
    for path in (top, top / "below"):
        harness.mount("tree", path, "tmpfs", 0, "mode=755")
        (path / "file").write_text("text")
        if path == top:
            (top / "below").mkdir()
    for path in (top, top / "below"):
        if flags:
            harness.mount("none", path, None, MS_BIND | MS_REMOUNT | flags)
    return top


@pytest.fixture
def trees(creel):
    """Makes trees, and takes them away before the host is compared."""
    made = []

    def make(*options):
        made.append(tree(creel, options))
        return made[-1]
    yield make
    for path in made:
        harness.unmount(path)


# Options

@pytest.mark.parametrize("option", MOUNT_OPTIONS)
def test_option_of_mount(creel, option):
    """config.md Mounts: options/defaults,ro,rw,nosuid,suid,nodev,dev,noexec,exec,noatime,atime,nodiratime,diratime,relatime,norelatime,strictatime,nostrictatime,silent,loud,iversion,noiversion: MUST: the
    option has its effect on a new filesystem and on a bind mount.
    config.md Mounts: options/nosymfollow,symfollow: SHOULD: the same."""
    source = creel.directory / "source"
    source.mkdir()

    def change(spec):
        add_mount(spec, "/mnt", "tmpfs", "tmpfs", [option])
        add_mount(spec, "/tmp", "none", source, ["bind", option])
    report = creel.probe("mounts", change=change)
    assert has(mount_at(report, "/mnt")["options"], MOUNT_OPTIONS[option]), report["mounts"][-2:]
    assert has(mount_at(report, "/tmp")["options"], MOUNT_OPTIONS[option]), report["mounts"][-2:]


@pytest.mark.parametrize("option", SUPERBLOCK_OPTIONS)
def test_option_of_filesystem(creel, option):
    """config.md Mounts: options/sync,async,dirsync,lazytime,nolazytime: MUST: the option has its
    effect on the whole new filesystem.
    config.md Mounts: options/mand,nomand: MAY: the same."""
    report = creel.probe("mounts", change=lambda spec: add_mount(
        spec, "/mnt", "tmpfs", "tmpfs", [option]))
    assert has(mount_at(report, "/mnt")["super"], SUPERBLOCK_OPTIONS[option])


@pytest.mark.parametrize("option", SUPERBLOCK_OPTIONS)
def test_option_of_filesystem_on_bind(creel, option):
    """config.md Mounts: options/sync,async,dirsync,lazytime,nolazytime: MUST: on a bind mount the
    option is accepted, and the host's filesystem stays as it is."""
    source = creel.directory / "source"
    source.mkdir()
    before = pathlib.Path("/proc/self/mountinfo").read_text()
    report = creel.probe("mounts", change=lambda spec: add_mount(
        spec, "/mnt", "none", source, ["bind", option]))
    assert mount_at(report, "/mnt")["type"] == "tmpfs"
    assert pathlib.Path("/proc/self/mountinfo").read_text() == before


@pytest.mark.parametrize("first, second", [pair for a, b in OPPOSITES for pair in ((a, b), (b, a))])
def test_later_option_wins(creel, first, second):
    """config.md Mounts: /mounts/*/options: MUST: of two options that exclude each other the later
    one counts."""
    report = creel.probe("mounts", change=lambda spec: add_mount(
        spec, "/mnt", "tmpfs", "tmpfs", [first, second]))
    assert has(mount_at(report, "/mnt")["options"], MOUNT_OPTIONS[second])


@pytest.mark.parametrize("option", RECURSIVE)
def test_recursive_option(creel, trees, option):
    """config.md Mounts: options/rro,rrw,rnosuid,rsuid,rnodev,rdev,rnoexec,rexec,rnodiratime,rdiratime,rnoatime,ratime,rrelatime,rnorelatime,rstrictatime,rnostrictatime,rnosymfollow,rsymfollow: SHOULD: the
    option changes the mount and all mounts below it."""
    source = trees(*UNDOES.get(option, ()))
    report = creel.probe("mounts", change=lambda spec: add_mount(
        spec, "/mnt", "none", source, ["rbind", option]))
    for target in ("/mnt", "/mnt/below"):
        assert has(mount_at(report, target)["options"], RECURSIVE[option]), (
            target, mount_at(report, target))


@pytest.mark.parametrize("option", ["ro", "nosuid", "nodev", "noexec", "noatime"])
def test_option_without_recursion(creel, trees, option):
    """config.md Mounts: options/ro,nosuid,nodev,noexec,noatime: MUST: without the recursive form
    the mounts below stay as they are."""
    source = trees()
    report = creel.probe("mounts", change=lambda spec: add_mount(
        spec, "/mnt", "none", source, ["rbind", option]))
    assert option in mount_at(report, "/mnt")["options"]
    assert option not in mount_at(report, "/mnt/below")["options"]


@pytest.mark.parametrize("kind, source, options", [
    ("tmpfs", "tmpfs", []), ("cgroup", "cgroup", []), ("proc", "proc", []), ("sysfs", "sysfs", []),
    ("mqueue", "mqueue", [])])
def test_rro_on_every_kind(creel, kind, source, options):
    """config.md Mounts: options/rro: SHOULD: the recursive form works on every kind of mount, not
    only on bind mounts."""
    target = "/proc" if kind == "proc" else "/mnt"

    def change(spec):
        spec["mounts"] = [m for m in spec["mounts"] if m["destination"] != target]
        if kind == "proc":
            spec["linux"].update(maskedPaths=[], readonlyPaths=[])
        add_mount(spec, target, kind, source, [*options, "rro"])
    assert "ro" in mount_at(creel.probe("mounts", change=change), target)["options"]


def test_ro_is_enforced(creel, trees):
    """config.md Mounts: options/rro: SHOULD: the container cannot write at any depth."""
    source = trees()
    out = run_shell(creel, "echo x > /mnt/new; echo $?; echo x > /mnt/below/new; echo $?",
                    change=lambda spec: add_mount(spec, "/mnt", "none", source, ["rbind", "rro"]))
    assert out.split() == ["1", "1"]


def test_bind_and_rbind(creel, trees):
    """config.md Mounts: options/bind,rbind: MUST: bind shows one mount, rbind also those below."""
    source = trees()

    def change(spec):
        add_mount(spec, "/mnt", "none", source, ["bind"])
        add_mount(spec, "/tmp", "bind", source, ["rbind"])
    report = creel.probe("mounts", change=change)
    assert not mounted(report, "/mnt/below")
    assert mounted(report, "/tmp/below")


def test_remount(creel):
    """config.md Mounts: options/remount: MUST: an existing mount gets new flags and keeps its
    content."""
    def change(spec):
        add_mount(spec, "/mnt", "tmpfs", "tmpfs", ["mode=700"])
        add_mount(spec, "/mnt", "none", "none", ["remount", "bind", "ro", "nosuid"])
    report = creel.probe("mounts", change=change)
    assert len([m for m in report["mounts"] if m["target"] == "/mnt"]) == 1
    assert has(mount_at(report, "/mnt")["options"], ({"ro", "nosuid"}, set()))
    assert "mode=700" in mount_at(report, "/mnt")["super"]


PROPAGATION = {
    "private": (lambda p: p == [], lambda p: any("shared" in w for w in p)),
    "rprivate": (lambda p: p == [], lambda p: p == []),
    "slave": (lambda p: any("master:" in w for w in p) and not any("shared:" in w for w in p),
              lambda p: any("shared" in w for w in p)),
    "rslave": (lambda p: any("master:" in w for w in p) and not any("shared:" in w for w in p),
               lambda p: any("master:" in w for w in p)),
    "unbindable": (lambda p: "unbindable" in p, lambda p: "unbindable" not in p),
    "runbindable": (lambda p: "unbindable" in p, lambda p: "unbindable" in p),
    "shared": (lambda p: any("shared:" in w for w in p), lambda p: any("shared:" in w for w in p)),
    "rshared": (lambda p: any("shared:" in w for w in p), lambda p: any("shared:" in w for w in p)),
}


@pytest.mark.parametrize("option", PROPAGATION)
def test_propagation(creel, trees, option):
    """config.md Mounts: options/private,rprivate,slave,rslave,unbindable,runbindable,shared,rshared: MUST:
    the mount gets this propagation; the forms with r reach the mounts below too."""
    source = trees()
    for path in (source, source / "below"):
        harness.mount("none", path, None, MS_SHARED)

    def change(spec):
        spec["linux"]["rootfsPropagation"] = "slave"
        add_mount(spec, "/mnt", "none", source, ["rbind", option])
    report = creel.probe("mounts", change=change)
    here, below = (mount_at(report, path)["propagation"] for path in ("/mnt", "/mnt/below"))
    assert PROPAGATION[option][0](here), here
    if option not in ("private", "slave"):
        assert PROPAGATION[option][1](below), below


@pytest.mark.parametrize("option, arrives", [
    ("rshared", True), ("rslave", True), ("rprivate", False)])
def test_propagation_from_host(creel, trees, option, arrives):
    """config.md Mounts: options/rshared,rslave,rprivate: MUST: a mount that the host makes later
    arrives in the container when the propagation says so, and only then."""
    source = trees()
    harness.mount("none", source, None, MS_SHARED)
    (source / "later").mkdir()
    bundle = changed(creel, lambda spec: add_mount(spec, "/mnt", "none", source,
                                                   ["rbind", option]), "/bin/probe", "sleep")
    with creel.running(bundle) as name:
        harness.mount("later", source / "later", "tmpfs", 0, None)
        report = creel.ok("exec", name, "/bin/probe", "sections", "mounts").json()
        assert mounted(report, "/mnt/later") == arrives
        harness.unmount(source / "later")


def test_propagation_to_host(creel, trees):
    """config.md Mounts: options/rshared: MUST: a mount made in the container arrives at the host."""
    source = trees()
    harness.mount("none", source, None, MS_SHARED)
    (source / "later").mkdir()

    def change(spec):
        add_mount(spec, "/mnt", "none", source, ["rbind", "rshared"])
        for caps in spec["process"]["capabilities"].values():
            caps.append("CAP_SYS_ADMIN")
    bundle = creel.shell("mount -t tmpfs later /mnt/later && sleep 1000")
    change(bundle.spec)
    with creel.running(bundle.write()):
        harness.wait_until(lambda: os.path.ismount(source / "later"), "the mount arrives")
        harness.unmount(source / "later")


# Places

def test_order(creel):
    """config.md Mounts: /mounts: MUST: mounts are made in the order of the list."""
    def change(spec):
        add_mount(spec, "/mnt", "tmpfs", "first", ["mode=700"])
        add_mount(spec, "/mnt/a", "tmpfs", "second")
        add_mount(spec, "/mnt/a/b", "tmpfs", "third")
        add_mount(spec, "/tmp", "tmpfs", "covered")
        add_mount(spec, "/tmp", "tmpfs", "cover")
    report = creel.probe("mounts", change=change)
    names = [m["source"] for m in report["mounts"]]
    assert [n for n in names if n in ("first", "second", "third")] == ["first", "second", "third"]
    assert mount_at(report, "/mnt/a/b")["source"] == "third"
    assert [m["source"] for m in report["mounts"] if m["target"] == "/tmp"] == ["covered", "cover"]


def test_covered_by_later(creel):
    """config.md Mounts: /mounts: MUST: a parent that is mounted after its child covers it."""
    def change(spec):
        add_mount(spec, "/mnt/a", "tmpfs", "child")
        add_mount(spec, "/mnt", "tmpfs", "parent")
    out = run_shell(creel, "ls /mnt", change=change)
    assert out == ""


def test_relative_destination(creel):
    """config.md Mounts: /mounts/*/destination: MUST: a relative destination starts at the root,
    with a warning that it is deprecated."""
    bundle = changed(creel, lambda spec: add_mount(spec, "data/x", "tmpfs", "relative"),
                     "/bin/probe", "sections", "mounts")
    result = creel.run_bundle(bundle, log=True)
    assert mount_at(result.json(), "/data/x")["source"] == "relative"


def test_destination_created(creel):
    """config.md Mounts: /mounts/*/destination: MUST: an absent mount point is made: a directory of
    mode 0755 for a directory, an empty file for a file, and their parents."""
    source = creel.directory / "file"
    source.write_text("text")

    def change(spec):
        add_mount(spec, "/deep/er/directory", "tmpfs", "tmpfs")
        add_mount(spec, "/deep/er/file", "none", source, ["bind"])
    bundle = changed(creel, change, "/bin/probe", "read", "/deep/er/file")
    assert creel.run_bundle(bundle).out == "text"
    deep = bundle.rootfs / "deep/er"
    for path in (deep.parent, deep, deep / "directory"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert (deep / "file").is_file() and (deep / "file").read_text() == ""


@pytest.mark.parametrize("link, target", [
    ("link", "/real/place"), ("link", "real/place"), ("link", "../../../../real/place"),
    ("a/b/link", "../../real/place")])
def test_symlinked_destination(creel, link, target):
    """config.md Mounts: /mounts/*/destination: MUST: links in the root filesystem are followed
    inside the root, never to the host."""
    bundle = creel.bundle("/bin/probe", "sections", "mounts")
    (bundle.rootfs / link).parent.mkdir(parents=True, exist_ok=True)
    (bundle.rootfs / link).symlink_to(target)
    add_mount(bundle.spec, f"/{link}", "tmpfs", "through")
    result = creel.run_bundle(bundle.write())
    assert result.code == 0, str(result)
    assert mount_at(result.json(), "/real/place")["source"] == "through"
    assert not pathlib.Path("/real").exists()


def test_destination_below_link(creel):
    """config.md Mounts: /mounts/*/destination: MUST: a link in the middle of a destination stays
    inside the root too."""
    bundle = creel.bundle("/bin/probe", "sections", "mounts")
    (bundle.rootfs / "var/run").symlink_to("/run")
    add_mount(bundle.spec, "/var/run/lock", "tmpfs", "through")
    result = creel.run_bundle(bundle.write())
    assert mount_at(result.json(), "/run/lock")["source"] == "through"


def test_mount_over_file(creel):
    """config.md Mounts: /mounts/*/destination: MUST: a file of the root can be mounted over, and
    is what it was afterwards."""
    source = creel.directory / "passwd"
    source.write_text("other:x:7:7::/:/bin/sh\n")
    bundle = changed(creel, lambda spec: add_mount(spec, "/etc/passwd", "bind", source, ["bind"]),
                     "/bin/probe", "read", "/etc/passwd")
    assert creel.run_bundle(bundle).out == source.read_text()
    assert (bundle.rootfs / "etc/passwd").read_text().startswith("root:")


def test_bind_file_shares_content(creel):
    """config.md Mounts: options/bind: MUST: a bound file is the host's file, not a copy."""
    source = creel.directory / "shared"
    source.write_text("before")
    probe_command(creel, "write", "/mnt/file", "after",
                  change=lambda spec: add_mount(spec, "/mnt/file", "none", source, ["rbind"]))
    assert source.read_text() == "after"


def test_directory_over_file(creel):
    """config.md Mounts: /mounts/*/destination: MUST: a directory cannot be mounted on a file."""
    source = creel.directory / "source"
    source.mkdir()
    refused(creel, changed(creel, lambda spec: add_mount(
        spec, "/etc/passwd", "none", source, ["bind"])), "/mounts/7")


def test_nested_binds(creel, trees):
    """config.md Mounts: /mounts: MUST: a bind inside a bind is made in the mounted tree."""
    outer, inner = trees(), trees()
    (outer / "inside").mkdir()
    (inner / "mark").write_text("inner")

    def change(spec):
        add_mount(spec, "/mnt", "none", outer, ["rbind"])
        add_mount(spec, "/mnt/inside", "none", inner, ["rbind", "ro"])
    assert probe_command(creel, "read", "/mnt/inside/mark", change=change).out == "inner"


def test_on_root(creel):
    """config.md Mounts: /mounts/*/destination: MUST: the root itself is no mount point."""
    refused(creel, changed(creel, lambda spec: add_mount(spec, "/", "tmpfs", "tmpfs")),
            "/mounts/7/destination")
    refused(creel, changed(creel, lambda spec: add_mount(spec, "/a/..", "tmpfs", "tmpfs")),
            "/mounts/7/destination")


def test_destination_required(creel):
    """config.md Mounts: /mounts/*/destination: MUST: the member is required."""
    refused(creel, changed(creel, lambda spec: spec["mounts"].append({"type": "tmpfs"})),
            "/mounts/7/destination")


def test_inside_proc(creel):
    """config.md Mounts: /mounts/*/destination: creel: nothing is mounted inside /proc but the few
    files that lxcfs and checkpoints replace."""
    source = creel.directory / "uptime"
    source.write_text("1 1\n")
    refused(creel, changed(creel, lambda spec: add_mount(
        spec, "/proc/self/attr", "tmpfs", "tmpfs")), "/mounts/7/destination", "inside /proc")
    assert probe_command(creel, "read", "/proc/uptime", change=lambda spec: add_mount(
        spec, "/proc/uptime", "none", source, ["bind"])).out == "1 1\n"


# Sources

def test_relative_source(creel):
    """config.md Mounts: /mounts/*/source: MUST: a relative source of a bind mount starts at the
    bundle."""
    bundle = changed(creel, lambda spec: add_mount(spec, "/mnt", "none", "data", ["bind"]),
                     "/bin/probe", "read", "/mnt/file")
    (bundle.path / "data").mkdir()
    (bundle.path / "data/file").write_text("of the bundle")
    assert creel.run_bundle(bundle, cwd="/").out == "of the bundle"


def test_absent_source(creel):
    """config.md Mounts: /mounts/*/source: MUST: an absent source is an error."""
    result = refused(creel, changed(creel, lambda spec: add_mount(
        spec, "/mnt", "none", "/nonexistent/source", ["bind"])), "/mounts/7/source")
    assert "no such file or directory" in result.error["msg"]


def test_bind_without_source(creel):
    """config.md Mounts: /mounts/*/source: MUST: a bind mount without a source is an error."""
    refused(creel, changed(creel, lambda spec: add_mount(spec, "/mnt", "bind")),
            "/mounts/7/source")


def test_type_bind_alone(creel):
    """config.md Mounts: /mounts/*/type: MUST: the type bind makes a bind mount."""
    source = creel.directory / "source"
    source.mkdir()
    (source / "file").write_text("bound")
    assert probe_command(creel, "read", "/mnt/file", change=lambda spec: add_mount(
        spec, "/mnt", "bind", source)).out == "bound"


def test_unknown_type(creel):
    """config.md Mounts: /mounts/*/type: MUST: a filesystem that the kernel does not have is an
    error."""
    refused(creel, changed(creel, lambda spec: add_mount(
        spec, "/mnt", "nosuchfs", "none")), "/mounts/7")


def test_unknown_option(creel):
    """config.md Mounts: /mounts/*/options: MUST: what the table does not know goes to the
    filesystem, and what that does not know is an error."""
    report = creel.probe("mounts", change=lambda spec: add_mount(
        spec, "/mnt", "tmpfs", "tmpfs", ["size=128k", "nr_inodes=77"]))
    assert {"size=128k", "nr_inodes=77"} <= set(mount_at(report, "/mnt")["super"])
    refused(creel, changed(creel, lambda spec: add_mount(
        spec, "/mnt", "tmpfs", "tmpfs", ["size=1k", "wobble"])), "/mounts/7/options/1", "wobble")


def test_option_of_bind_unknown(creel):
    """config.md Mounts: /mounts/*/options: MUST: a bind mount has no options of a filesystem."""
    refused(creel, changed(creel, lambda spec: add_mount(
        spec, "/mnt", "none", "/tmp", ["bind", "size=1k"])), "/mounts/7/options/1",
        "bind mounts cannot have any filesystem-specific options applied")


# Id-mapped mounts

def owned_source(creel, uid=1000, below=None):
    """A directory with a file of UID, and one at each path in BELOW."""
    source = creel.directory / f"owned-{creel.number()}"
    source.mkdir()
    (source / "file").write_text("x")
    os.chown(source / "file", uid, uid)
    return source


def owner_seen(creel, path, change, **more):
    """The owner of PATH as the container sees it."""
    seen = probe_command(creel, "stat", path, change=change, **more).json()
    return seen["uid"], seen["gid"]


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_idmap_own_maps(creel, option):
    """config.md Mounts: /mounts/*/uidMappings,/mounts/*/gidMappings: SHOULD: a mount with mappings
    of its own shows the owners through them, without a user namespace.
    config.md Mounts: options/idmap,ridmap: SHOULD: both forms are understood."""
    source = owned_source(creel)
    # config.md: the container's id is the one on the disk, the host's is the one that is seen.
    maps = ids((1000, 5000, 10))
    seen = owner_seen(creel, "/mnt/file", lambda spec: add_mount(
        spec, "/mnt", "none", source, ["bind", option], uidMappings=maps, gidMappings=maps))
    assert seen == (5000, 5000)


def test_idmap_without_option(creel):
    """config.md Mounts: /mounts/*/uidMappings: SHOULD: mappings alone, without the option, map
    too."""
    source = owned_source(creel)
    maps = ids((1000, 5000, 10))
    seen = owner_seen(creel, "/mnt/file", lambda spec: add_mount(
        spec, "/mnt", "none", source, ["bind"], uidMappings=maps, gidMappings=maps))
    assert seen == (5000, 5000)


def test_idmap_different_maps(creel):
    """config.md Mounts: /mounts/*/gidMappings: SHOULD: users and groups have maps of their own."""
    source = owned_source(creel)
    seen = owner_seen(creel, "/mnt/file", lambda spec: add_mount(
        spec, "/mnt", "none", source, ["bind", "idmap"], uidMappings=ids((1000, 5000, 10)),
        gidMappings=ids((900, 7000, 200))))
    assert seen == (5000, 7100)


def test_idmap_of_container(creel):
    """config.md Mounts: options/idmap: SHOULD: without mappings the container's own are used: what
    belongs to 0 on the disk belongs to 0 in the container."""
    source = owned_source(creel, uid=0)
    seen = owner_seen(creel, "/mnt/file", lambda spec: add_mount(
        spec, "/mnt", "none", source, ["bind", "idmap"]), userns=True)
    assert seen == (0, 0)
    seen = owner_seen(creel, "/mnt/file", lambda spec: add_mount(
        spec, "/mnt", "none", source, ["bind"]), userns=True)
    assert seen == (65534, 65534)


def test_idmap_own_maps_in_userns(creel):
    """config.md Mounts: /mounts/*/uidMappings: SHOULD: with a user namespace the mount's mappings
    may differ from the container's."""
    source = owned_source(creel, uid=1000)
    maps = ids((1000, 100005, 1))
    seen = owner_seen(creel, "/mnt/file", lambda spec: add_mount(
        spec, "/mnt", "none", source, ["bind", "idmap"], uidMappings=maps, gidMappings=maps),
        userns=True)
    assert seen == (5, 5)


def test_ridmap_reaches_below(creel, trees):
    """config.md Mounts: options/ridmap,idmap: SHOULD: ridmap maps the mounts below, idmap only the
    mount itself."""
    source = trees()
    for path in (source, source / "below"):
        os.chown(path / "file", 1000, 1000)
    maps = ids((1000, 5000, 10))
    for option, below in (("ridmap", 5000), ("idmap", 1000)):
        def change(spec, option=option):
            add_mount(spec, "/mnt", "none", source, ["rbind", option], uidMappings=maps,
                      gidMappings=maps)
        assert owner_seen(creel, "/mnt/file", change) == (5000, 5000)
        assert owner_seen(creel, "/mnt/below/file", change) == (below, below)


def test_idmap_new_filesystem(creel):
    """config.md Mounts: options/idmap: SHOULD: a new filesystem can be mapped as well."""
    maps = ids((0, 3000, 10))
    seen = owner_seen(creel, "/mnt", lambda spec: add_mount(
        spec, "/mnt", "tmpfs", "tmpfs", ["idmap", "mode=755"], uidMappings=maps, gidMappings=maps))
    assert seen == (3000, 3000)


def test_idmap_without_any_map(creel):
    """config.md Mounts: options/idmap: MUST: without a user namespace and without mappings it is an
    error."""
    refused(creel, changed(creel, lambda spec: add_mount(
        spec, "/mnt", "none", "/tmp", ["bind", "idmap"])), "/mounts/7/options/1")


@pytest.mark.parametrize("member", ["uidMappings", "gidMappings"])
def test_idmap_half(creel, member):
    """config.md Mounts: /mounts/*/uidMappings,/mounts/*/gidMappings: MUST: one without the other is
    an error."""
    refused(creel, changed(creel, lambda spec: add_mount(
        spec, "/mnt", "none", "/tmp", ["bind", "idmap"], **{member: ids((0, 1, 1))})),
        f"/mounts/7/{member}")


def test_idmap_of_filesystem_without(creel):
    """config.md Mounts: options/idmap: MUST: a filesystem that cannot be mapped is an error that
    names the filesystem."""
    maps = ids((0, 1, 1))
    result = refused(creel, changed(creel, lambda spec: add_mount(
        spec, "/mnt", "none", "/proc/self/fdinfo", ["bind", "idmap"], uidMappings=maps,
        gidMappings=maps)), "/mounts/7")
    assert "proc" in result.error["msg"]


def test_idmap_inline(creel):
    """config.md Mounts: options/idmap=: creel: crun's inline mapping is understood."""
    source = owned_source(creel)
    seen = owner_seen(creel, "/mnt/file", lambda spec: add_mount(
        spec, "/mnt", "none", source, ["bind", "idmap=uids=1000-5000-1;gids=1000-6000-1"]))
    assert seen == (5000, 6000)


# Extensions

def test_tmpcopyup(creel):
    """config.md Mounts: options/tmpcopyup: MAY: a tmpfs starts with what the root has there, with
    owners, modes and links, and what is written stays in the tmpfs."""
    bundle = creel.shell("stat -c '%a %u %n' /data /data/file /data/sub; readlink /data/link; "
                         "cat /data/file; echo new > /data/file")
    data = bundle.rootfs / "data"
    (data / "sub").mkdir(parents=True)
    (data / "file").write_text("image\n")
    (data / "link").symlink_to("file")
    (data / "file").chmod(0o640)
    os.chown(data / "sub", 12, 12)
    data.chmod(0o750)
    add_mount(bundle.spec, "/data", "tmpfs", "tmpfs", ["tmpcopyup"])
    result = creel.run_bundle(bundle.write())
    assert result.out.splitlines() == ["750 0 /data", "640 0 /data/file", "755 12 /data/sub",
                                       "file", "image"], str(result)
    assert (data / "file").read_text() == "image\n"


def test_tmpcopyup_readonly(creel):
    """config.md Mounts: options/tmpcopyup: MAY: it works with ro as well."""
    bundle = creel.shell("cat /data/file; echo x > /data/file; echo $?")
    (bundle.rootfs / "data").mkdir()
    (bundle.rootfs / "data/file").write_text("image\n")
    add_mount(bundle.spec, "/data", "tmpfs", "tmpfs", ["ro", "tmpcopyup"])
    assert creel.run_bundle(bundle.write()).out.splitlines() == ["image", "1"]


def test_tmpfs_inherits_mode(creel):
    """config.md Mounts: /mounts/*/type: creel: a tmpfs without a mode has that of the directory
    that it covers."""
    bundle = creel.shell("stat -c %a /tmp")
    (bundle.rootfs / "tmp").chmod(0o1777)
    add_mount(bundle.spec, "/tmp", "tmpfs", "tmpfs")
    assert creel.run_bundle(bundle.write()).out == "1777\n"


def test_copy_symlink(creel):
    """config.md Mounts: options/copy-symlink: creel: a source that is a link becomes the same link
    in the container."""
    source = creel.directory / "link"
    source.symlink_to("/somewhere/else")
    bundle = changed(creel, lambda spec: add_mount(
        spec, "/etc/link", "none", source, ["bind", "copy-symlink"]), "/bin/probe", "stat",
        "/etc/link")
    assert creel.run_bundle(bundle).json()["link"] == "/somewhere/else"


def test_src_nofollow(creel):
    """config.md Mounts: options/src-nofollow: creel: a source that is a link is not followed."""
    target = creel.directory / "target"
    target.write_text("target")
    source = creel.directory / "link"
    source.symlink_to(target)
    assert probe_command(creel, "read", "/mnt/file", change=lambda spec: add_mount(
        spec, "/mnt/file", "none", source, ["bind"])).out == "target"
    bundle = changed(creel, lambda spec: add_mount(
        spec, "/mnt/file", "none", source, ["bind", "src-nofollow"]), "/bin/probe", "stat",
        "/mnt/file")
    result = creel.run_bundle(bundle)
    # The kernel binds the link itself (since 5.12), or it is refused: never the target.
    assert result.code != 0 or result.json()["type"] == "symlink", str(result)


def test_dest_nofollow(creel):
    """config.md Mounts: options/dest-nofollow: creel: a destination that is a link is not
    followed."""
    source = creel.directory / "file"
    source.write_text("bound")
    bundle = creel.bundle("/bin/probe", "read", "/target")
    (bundle.rootfs / "target").write_text("image")
    (bundle.rootfs / "link").symlink_to("/target")
    add_mount(bundle.spec, "/link", "none", source, ["bind"])
    assert creel.run_bundle(bundle.write()).out == "bound"
    bundle.spec["mounts"][-1]["options"] = ["bind", "dest-nofollow"]
    result = creel.run_bundle(bundle.write())
    assert result.code != 0 or result.out == "image", str(result)


# Filesystems

def test_mqueue(creel):
    """config.md Mounts: /mounts/*/type: MUST: mqueue is mounted, with the flags that are asked for."""
    mount = mount_at(creel.probe("mounts"), "/dev/mqueue")
    assert mount["type"] == "mqueue"
    assert {"nosuid", "noexec", "nodev"} <= set(mount["options"])


def test_mqueue_in_userns(creel):
    """config.md Mounts: /mounts/*/type: MUST: with a user namespace the queues belong to the
    container's root, not to nobody."""
    found = {e["name"]: e for e in creel.probe("dev", userns=True)["dev"]}
    assert (found["mqueue"]["uid"], found["mqueue"]["gid"]) == (0, 0)


def test_source_is_shown(creel):
    """config.md Mounts: /mounts/*/source: MUST: a source that is only a name is in the mount table."""
    def change(spec):
        spec["mounts"][-1]["source"] = "my-cgroup"
        add_mount(spec, "/mnt", "tmpfs", "my-tmpfs")
    report = creel.probe("mounts", change=change)
    assert mount_at(report, "/mnt")["source"] == "my-tmpfs"
    assert mount_at(report, "/sys/fs/cgroup")["source"] == "my-cgroup"


def test_usual_filesystems(creel):
    """config-linux.md Default Filesystems: /proc,/sys,/dev/pts,/dev/shm: SHOULD: the usual
    configuration gives all of them, of the right types."""
    report = creel.probe("mounts")
    types = {m["target"]: m["type"] for m in report["mounts"]}
    assert (types["/proc"], types["/sys"], types["/dev/pts"], types["/dev/shm"]) == (
        "proc", "sysfs", "devpts", "tmpfs")


def test_readonly_sys(creel):
    """config.md Mounts: options/ro: MUST: a read-only /sys refuses every write."""
    out = run_shell(creel, "echo 1 > /sys/kernel/mm/ksm/run 2>/dev/null; echo $?; "
                    "mkdir /sys/fs/cgroup/x 2>/dev/null; echo $?")
    assert out.split() == ["1", "1"]


@pytest.mark.parametrize("namespace", [True, False])
@pytest.mark.parametrize("options", [[], ["ro"], ["rw"], ["nosuid", "noexec", "nodev", "relatime"]])
@pytest.mark.parametrize("kind", ["cgroup", "cgroup2"])
def test_cgroup_mount(creel, kind, options, namespace):
    """config.md Mounts: /mounts/*/type: MUST: the cgroup filesystem shows the container's cgroup as
    its root when it has a cgroup namespace, with the options that are given; without the namespace
    it is never writable."""
    def change(spec):
        spec["mounts"][-1] = {"destination": "/sys/fs/cgroup", "type": kind, "source": "cgroup",
                              "options": options}
        if not namespace:
            drop_namespace(spec, "cgroup")
    report = creel.probe("mounts", "cgroup", change=change)
    mount = mount_at(report, "/sys/fs/cgroup")
    own = [c["path"] for c in report["cgroup"] if c["hierarchy"] == 0]
    assert mount["type"] == "cgroup2"
    assert ("ro" in mount["options"]) == ("ro" in options or not namespace)
    assert {"nosuid", "noexec", "nodev"} & set(options) <= set(mount["options"])
    assert own == ["/"] if namespace else own != ["/"]


def test_cgroup_mount_in_userns(creel):
    """config.md Mounts: /mounts/*/type: MUST: the cgroup filesystem is mounted in a user namespace
    too."""
    report = creel.probe("mounts", userns=True)
    assert mount_at(report, "/sys/fs/cgroup")["type"] == "cgroup2"


def test_cgroup_mount_in_userns_without_namespace(creel):
    """config.md Mounts: /mounts/*/type: MUST: in a user namespace without a cgroup namespace the
    container sees its own cgroup, read-only."""
    report = creel.probe("mounts", userns=True,
                         change=lambda spec: drop_namespace(spec, "cgroup"))
    mount = mount_at(report, "/sys/fs/cgroup")
    assert mount["type"] == "cgroup2" and "ro" in mount["options"]


def overlay(creel):
    """An overlay of the root filesystem, mounted on the host: (mount point, upper directory)."""
    base = creel.directory / "overlay"
    lower = creel.rootfs()
    for name in ("upper", "work", "merged"):
        (base / name).mkdir(parents=True)
    harness.mount("overlay", base / "merged", "overlay", 0,
                  f"lowerdir={lower},upperdir={base}/upper,workdir={base}/work")
    return base / "merged", base / "upper"


def test_overlay_root(creel):
    """config.md Root: /root/path: MUST: the root may be an overlay, as all engines make it."""
    merged, upper = overlay(creel)
    try:
        for userns in (False, True):
            bundle = creel.bundle("/bin/probe", "write", "/tmp/file", f"{userns}", rootfs=merged,
                                  userns=userns)
            (merged / "tmp").chmod(0o1777)
            writable(bundle.spec)
            assert creel.run_bundle(bundle.write()).code == 0
            assert (upper / "tmp/file").read_text() == f"{userns}"
            (merged / "tmp/file").unlink()
    finally:
        harness.unmount(merged)


def test_overlay_with_many_layers(creel):
    """config.md Mounts: /mounts/*/options: MUST: options longer than 255 bytes reach the
    filesystem."""
    layers = []
    for number in range(12):
        layer = creel.directory / f"layer-with-a-rather-long-name-{number}"
        layer.mkdir()
        (layer / f"file-{number}").write_text(str(number))
        layers.append(str(layer))
    option = "lowerdir=" + ":".join(layers)
    assert len(option) > 600
    out = run_shell(creel, "ls /mnt | wc -l; cat /mnt/file-7", change=lambda spec: add_mount(
        spec, "/mnt", "overlay", "overlay", [option, "ro", "nosuid"]))
    assert out == "12\n7"


def test_sysfs_in_userns_without_network(creel):
    """config.md Mounts: /mounts/*/type: MUST: sysfs in a user namespace with the host's network is
    refused, and said why."""
    def change(spec):
        drop_namespace(spec, "network")
    refused(creel, changed(creel, change, userns=True), "/mounts/5")


def test_label_without_selinux(creel):
    """config-linux.md Mount Label: /linux/mountLabel: MUST: without SELinux the label is not given
    to filesystems that would refuse it."""
    if pathlib.Path("/sys/fs/selinux/enforce").exists():
        pytest.skip("this host has SELinux")
    bundle = changed(creel, lambda spec: spec["linux"].update(
        mountLabel="system_u:object_r:container_file_t:s0"), "/bin/probe", "sections", "mounts")
    result = creel.run_bundle(bundle)
    assert "/linux/mountLabel: the label is ignored" in result.err, str(result)
    report = result.json()
    assert not any("context=" in word for m in report["mounts"] for word in m["super"])


# Propagation of the root

@pytest.mark.parametrize("value, expected", [
    ("private", lambda p: p == []), ("rprivate", lambda p: p == []),
    ("slave", lambda p: not any("shared" in w for w in p)),
    ("rslave", lambda p: not any("shared" in w for w in p)),
    ("shared", lambda p: any("shared:" in w for w in p)),
    ("rshared", lambda p: any("shared:" in w for w in p)),
    ("unbindable", lambda p: "unbindable" in p)])
def test_rootfs_propagation(creel, value, expected):
    """config-linux.md Rootfs Mount Propagation: /linux/rootfsPropagation: MUST: the root has the
    propagation that is asked for."""
    report = creel.probe("mounts", change=lambda spec: spec["linux"].update(
        rootfsPropagation=value))
    assert expected(mount_at(report, "/")["propagation"]), mount_at(report, "/")


def test_rootfs_propagation_unknown(creel):
    """config-linux.md Rootfs Mount Propagation: /linux/rootfsPropagation: MUST: another word is an
    error."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(rootfsPropagation="public")),
            "/linux/rootfsPropagation")


# Protected paths

def test_masked_paths(creel):
    """config-linux.md Masked Paths: /linux/maskedPaths: MUST: a file reads as empty, a directory is
    empty, and neither can be changed."""
    bundle = creel.shell("cat /secret; ls /hidden; echo x > /secret; echo x > /hidden/x; echo $?; "
                         "stat -c %t:%T /secret")
    (bundle.rootfs / "secret").write_text("secret")
    (bundle.rootfs / "hidden").mkdir()
    (bundle.rootfs / "hidden/file").write_text("hidden")
    bundle.spec["linux"]["maskedPaths"] = ["/secret", "/hidden", "/absent", "/secret"]
    writable(bundle.spec)
    assert creel.run_bundle(bundle.write()).out.split() == ["1", "1:3"]
    assert (bundle.rootfs / "secret").read_text() == "secret"


@pytest.mark.parametrize("member", ["maskedPaths", "readonlyPaths"])
def test_protected_paths_behind_a_magic_link(creel, member):
    """config-linux.md Masked Paths: /linux/maskedPaths,/linux/readonlyPaths: MUST: what the container can reach by this path is
    protected, or it is not made: nothing is skipped but what is not there."""
    bundle = creel.shell("cat /secret")
    (bundle.rootfs / "secret").write_text("secret")
    bundle.spec["linux"][member] = ["/proc/self/root/secret"]
    result = creel.run_bundle(bundle.write())
    assert result.code == 1 and "/proc/self/root/secret" in result.err, str(result)
    assert "secret\n" not in result.out + "\n", str(result)


def test_readonly_paths(creel):
    """config-linux.md Readonly Paths: /linux/readonlyPaths: MUST: the path can be read, not
    written, and an absent one is skipped."""
    bundle = creel.shell("cat /fixed/file; echo x > /fixed/file; echo $?; echo x > /free; echo $?")
    (bundle.rootfs / "fixed").mkdir()
    (bundle.rootfs / "fixed/file").write_text("fixed\n")
    bundle.spec["linux"]["readonlyPaths"] = ["/fixed", "/absent"]
    writable(bundle.spec)
    assert creel.run_bundle(bundle.write()).out.split() == ["fixed", "1", "0"]


def test_readonly_paths_keep_flags(creel):
    """config-linux.md Readonly Paths: /linux/readonlyPaths: MUST: the other flags of the mount
    stay."""
    def change(spec):
        add_mount(spec, "/mnt", "tmpfs", "tmpfs", ["nosuid", "nodev", "noexec"])
        spec["linux"]["readonlyPaths"] = ["/mnt"]
    mount = mount_at(creel.probe("mounts", change=change), "/mnt")
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(mount["options"])


@pytest.mark.parametrize("member", ["maskedPaths", "readonlyPaths"])
def test_protected_paths_absolute(creel, member):
    """config-linux.md Masked Paths: /linux/maskedPaths,/linux/readonlyPaths: MUST: paths are
    absolute."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update({member: ["proc/x"]})),
            f"/linux/{member}/0")


def test_devpts_of_unmapped_group(creel):
    """config.md Mounts: /mounts/*/options: MUST: an id that the user namespace does not map is an
    error that names the option."""
    def change(spec):
        map_ids(spec, (0, 100000, 1))
    bundle = changed(creel, change)
    refused(creel, bundle, "/mounts/2/options/5", "gid=5")


def test_joined_mount_namespace_untouched(creel):
    """config-linux.md Namespaces: /linux/namespaces/*/path: MUST: mounts that the container makes in
    its own namespace never appear on the host."""
    before = pathlib.Path("/proc/self/mountinfo").read_text()
    with creel.running():
        assert pathlib.Path("/proc/self/mountinfo").read_text() == before
