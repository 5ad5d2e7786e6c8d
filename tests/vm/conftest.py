"""The full laboratory: every controller in version 2, systemd as process 1, a disk, swap."""

import os
import pathlib
import shutil

import pytest


def pytest_collection_modifyitems(items):
    """Everything here needs the laboratory's kernel."""
    if os.environ.get("CREEL_LAB") == "full":
        return
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs the full laboratory: tests/vm/run"))


@pytest.fixture(scope="session")
def programs(apart):
    """The laboratory has no compiler: tests/vm/run brings the probe."""
    return {"/bin/probe": os.environ["CREEL_PROBE"], "/bin/busybox": shutil.which("busybox")}
