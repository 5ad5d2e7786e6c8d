"""What a container may get as its standard streams: nothing that leads out of it."""

import os

import pytest


@pytest.fixture(params=["run", "create", "exec"])
def command(creel, request):
    """Runs a command that gives its standard input to a container's process."""
    def run(stdin):
        if request.param == "exec":
            with creel.running() as name:
                return creel.spawn("exec", "--user", "1000:1000", name, "/bin/probe", "sections", "fds", stdin=stdin).wait()
        bundle = creel.bundle("/bin/probe", "sections", "fds", user={"uid": 1000, "gid": 1000})
        name = creel.id("streams")
        result = creel.spawn(request.param, "--bundle", bundle.path, name, stdin=stdin).wait()
        if request.param == "create" and result.code == 0:
            creel.ok("delete", "--force", name)
        return result
    return run


def test_a_directory_is_refused(creel, command):
    here = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    result = command(here)
    os.close(here)
    assert result.code != 0
    assert "standard stream 0 is a directory: it would lead out of the container" in result.err
    assert "CRL-1005" in result.err


def test_what_only_names_a_file_is_replaced(command, tmp_path):
    """Whoever has it could go on from it, and musl's fchown() would look for it by name in the container's root."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    place = os.open(fifo, os.O_PATH)
    result = command(place)
    os.close(place)
    assert result.code == 0, str(result)
    assert "fifo" not in result.out
    assert fifo.stat().st_uid == os.getuid()
