"""What the packages' tests share: the packages, each built once."""

import os
import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


def run(*words, **more):
    """Runs a command that has to work; returns its output."""
    done = subprocess.run([str(word) for word in words], text=True, check=False, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if done.returncode:
        pytest.fail(f"{words[0]} failed with {done.returncode}:\n"
                    + "\n".join(done.stdout.splitlines()[-60:]), pytrace=False)
    return done.stdout


def find(directory, pattern):
    """The one file of a directory that matches."""
    files = sorted(directory.glob(pattern))
    assert len(files) == 1, f"{pattern} matches {files}"
    return files[0]


@pytest.fixture(scope="session")
def version():
    """creel's version, which meson.build says."""
    line = next(line for line in (TOP / "meson.build").read_text().splitlines()
                if line.startswith("\tversion: "))
    return line.split("'")[1]


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """The directory that packaging/release makes of the checkout."""
    output = tmp_path_factory.mktemp("release")
    run(TOP / "packaging/release", output)
    return output


@pytest.fixture(scope="session")
def deb(tmp_path_factory, release, version):
    """The directory with the Debian packages, built of the release's source and debian/."""
    work = tmp_path_factory.mktemp("deb")
    shutil.copy(release / f"creel-{version}.tar.xz", work / f"creel_{version}.orig.tar.xz")
    run("tar", "-C", work, "-xf", work / f"creel_{version}.orig.tar.xz")
    source = work / f"creel-{version}"
    shutil.copytree(TOP / "debian", source / "debian")
    run("dpkg-buildpackage", "-us", "-uc", cwd=source)
    shutil.rmtree(source)
    return work


@pytest.fixture(scope="session")
def rpm(tmp_path_factory, release, version):
    """The directory with the RPM packages, and an empty root into which the program's is installed."""
    work = tmp_path_factory.mktemp("rpm")
    # Debian's rpm knows nothing of the build's dependencies, which are there.
    run("rpmbuild", "-ba", "--nodeps", "--define", f"_topdir {work}", "--define",
        f"_sourcedir {release}", TOP / "packaging/creel.spec")
    root = work / "root"
    root.mkdir()
    words = ["rpm", "--root", root, "--nodeps", "--force-debian"]
    run(*words, "-i", find(work, f"RPMS/*/creel-{version}-*.rpm"))
    run(*words, "--verify", "creel")
    return work


@pytest.fixture
def smoke(release, version):
    """Installs a package in the laboratory's clean tree and runs containers with it."""
    def start(kind, directory):
        run(TOP / "tests/lab/fast", "--timeout", "120", "--bind", directory,
            TOP / "tests/package/inside", kind, directory,
            env={**os.environ, "CREEL_EXPECTED": version})
    return start
