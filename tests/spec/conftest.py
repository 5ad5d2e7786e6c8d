"""Marks of the spec tests: what a test needs that not every host has."""

import harness
import pytest


def pytest_configure(config):
    """Declares the marks."""
    config.addinivalue_line(
        "markers", "controller(name): needs this cgroup2 controller; the VM has all of them")
    config.addinivalue_line(
        "markers", "capability(name): needs this capability; the VM has all of them")


@pytest.fixture(autouse=True)
def _needs(request):
    for mark in request.node.iter_markers("controller"):
        harness.require_controller(mark.args[0])
    for mark in request.node.iter_markers("capability"):
        harness.require_capability(mark.args[0])
