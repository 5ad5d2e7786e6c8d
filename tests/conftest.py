"""Fixtures of the system tests: `creel`, and the host that every test has to leave as it was."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

TESTS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS / "support"))

import bundles  # noqa: E402
import harness  # noqa: E402


@pytest.fixture(scope="session")
def apart():
    """A directory on a tmpfs of our own, in a mount namespace of our own."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    harness.set_apart()
    path = pathlib.Path(tempfile.mkdtemp(prefix="creel-test-"))
    harness.mount("creel-test", path, "tmpfs", 0, "mode=755")
    yield path
    os.chdir("/")
    harness.unmount(path)
    path.rmdir()


@pytest.fixture(scope="session")
def binary():
    """What is tested: $CREEL, or build/creel."""
    path = pathlib.Path(os.environ.get("CREEL") or TESTS.parent / "build" / "creel").resolve()
    if not path.exists():
        pytest.fail(f"there is no {path}: build creel first", pytrace=False)
    return path


@pytest.fixture(scope="session")
def programs(apart):
    """What a root filesystem holds, from path inside to path outside."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.fail("needs busybox-static", pytrace=False)
    tools = apart / "tools"
    tools.mkdir()
    # The laboratory has no compiler.
    probe = os.environ.get("CREEL_PROBE") or bundles.build_probe(tools)
    return {"/bin/probe": probe, "/bin/busybox": busybox}


@pytest.fixture(scope="session")
def configs():
    """The directory of real configurations."""
    path = bundles.find_configs()
    if not path:
        pytest.skip("there is no directory of real configurations: set CREEL_CONFIGS")
    return path


def pytest_keyboard_interrupt():
    """Says which test it was that did not end."""
    print(f"\ninterrupted: {os.environ.get('PYTEST_CURRENT_TEST')}", flush=True)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets fixtures know whether their test has passed."""
    outcome = yield
    if call.when == "call":
        item.passed = outcome.get_result().passed


@pytest.fixture
def creel(request, apart, binary, programs):
    """creel with a state root of its own.  The host is compared before and after."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="t", dir=apart))
    directory.chmod(0o755)
    creel = harness.Creel(binary, directory, programs)
    snapshot = harness.Snapshot(creel)
    before = snapshot.take()
    yield creel
    passed = getattr(request.node, "passed", False)
    difference = snapshot.difference(before, harness.TIMEOUT if passed else 0)
    if difference:
        snapshot.clean()
    with contextlib.suppress(OSError):
        shutil.rmtree(directory)
    if difference and passed:
        pytest.fail(f"{request.node.name} has changed the host:\n" + "\n".join(difference),
                    pytrace=False)
