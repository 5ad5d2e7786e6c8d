"""The archives of a release: the same bytes again, static, complete, and with a true list of what is in them."""

import hashlib
import json
import os
import subprocess
import tarfile

import pytest
from conftest import TOP, find, run


@pytest.fixture(scope="module")
def unpacked(release, tmp_path_factory):
    """The archive of the program, unpacked."""
    directory = tmp_path_factory.mktemp("unpacked")
    run("tar", "-C", directory, "-xf", find(release, "creel-*-linux-*.tar.xz"))
    return find(directory, "creel-*-linux-*")


@pytest.fixture(scope="module")
def sbom(release):
    """The SPDX document."""
    return json.loads(find(release, "*.spdx.json").read_text())


def test_same_bytes_again(release, version, tmp_path):
    """Its own source, elsewhere, later, by somebody with other habits, makes the same release."""
    run("tar", "-C", tmp_path, "-xf", release / f"creel-{version}.tar.xz")
    elsewhere = tmp_path / "a-directory-with-quite-another-name"
    (tmp_path / f"creel-{version}").rename(elsewhere)
    again = tmp_path / "output"
    run("bash", "-c", f"umask 077; exec packaging/release '{again}'", cwd=elsewhere,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TZ": "Asia/Tokyo", "LANG": "C.UTF-8",
             "USER": "somebody", "TMPDIR": str(tmp_path)})
    assert (again / "SHA256SUMS").read_text() == (release / "SHA256SUMS").read_text()
    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=again)


def test_checksums(release):
    lines = (release / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == {
        path.name for path in release.iterdir() if path.name != "SHA256SUMS"}
    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=release)


def test_archives_are_anonymous(release):
    for path in release.glob("*.tar.xz"):
        with tarfile.open(path) as archive:
            members = archive.getmembers()
        assert len(members) > 20
        top = path.name[:-len(".tar.xz")]
        assert {member.name.split("/")[0] for member in members} == {top}
        assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {
            (0, 0, "", "")}
        assert len({member.mtime for member in members}) == 1
        assert {oct(member.mode) for member in members} <= {"0o755", "0o644", "0o777"}


def test_program(unpacked, version):
    program = unpacked / "bin/creel"
    assert "INTERP" not in run("readelf", "-lW", program)
    assert "NEEDED" not in run("readelf", "-dW", program)
    assert ".debug_info" not in run("readelf", "-SW", program)
    assert run(program, "--version").startswith(f"creel version {version}\n")
    text = program.read_bytes()
    for path in (str(TOP), "/tmp/tmp."):
        assert path.encode() not in text, f"the program names {path}"


def test_what_belongs_to_it(unpacked):
    for name in ("share/man/man8/creel.8", "share/bash-completion/completions/creel",
                 "share/zsh/site-functions/_creel", "share/fish/vendor_completions.d/creel.fish",
                 "share/pkgconfig/creel.pc", "share/doc/creel/README.md", "share/doc/creel/COPYING",
                 "share/doc/creel/apparmor/creel", "share/doc/creel/licences/yajl",
                 "share/doc/creel/licences/musl"):
        assert (unpacked / name).stat().st_size > 0, name


def test_source_is_what_git_knows(release, version):
    with tarfile.open(release / f"creel-{version}.tar.xz") as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    for name in ("meson.build", "COPYING", "src/cli/main.c", "man/creel.8", ".commit"):
        assert name in names
    assert not [name for name in names if name.startswith(("debian/", "build", ".git/"))]


def test_sbom_form(sbom, version):
    """What SPDX 2.3 demands of a document, of packages, files and relationships."""
    assert sbom["spdxVersion"] == "SPDX-2.3" and sbom["dataLicense"] == "CC0-1.0"
    assert sbom["SPDXID"] == "SPDXRef-DOCUMENT"
    assert sbom["documentNamespace"].startswith("https://") and "#" not in sbom["documentNamespace"]
    assert sbom["creationInfo"]["created"].endswith("Z") and sbom["creationInfo"]["creators"]
    elements = {"SPDXRef-DOCUMENT"}
    for item in sbom["packages"] + sbom["files"]:
        assert item["SPDXID"] not in elements and item["licenseConcluded"] and item["copyrightText"]
        elements.add(item["SPDXID"])
    for package in sbom["packages"]:
        assert package["name"] and package["downloadLocation"] and package["licenseDeclared"]
        assert package["filesAnalyzed"] == ("packageVerificationCode" in package)
    for relation in sbom["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= elements
    assert sbom["packages"][0]["versionInfo"] == version


def test_sbom_is_true(sbom, unpacked):
    """The checksum is the program's, and the libraries are the installed ones that it needs."""
    sums = {item["algorithm"]: item["checksumValue"] for item in sbom["files"][0]["checksums"]}
    program = (unpacked / sbom["files"][0]["fileName"]).read_bytes()
    assert sums["SHA256"] == hashlib.sha256(program).hexdigest()
    assert sums["SHA1"] == hashlib.sha1(program).hexdigest()
    libraries = {item["name"]: item for item in sbom["packages"][1:]}
    for name, package in {"musl": "musl-dev", "yajl": "libyajl-dev"}.items():
        assert libraries[name]["versionInfo"] == run(
            "dpkg-query", "-W", "-f", "${source:Version}", package)
        assert ".a" in libraries[name]["comment"]
    licences = {path.name for path in (unpacked / "share/doc/creel/licences").iterdir()}
    assert licences == set(libraries)


def test_unknown_library(tmp_path):
    """A library without a licence in the table does not get into a release."""
    report = tmp_path / "linked"
    report.write_text("/usr/lib/x86_64-linux-gnu/libcmocka.a\n(/bin/tar)member.o\n(/bin/x.a)m.o\n")
    done = subprocess.run([str(TOP / "packaging/sbom.py"), "--linked", str(report), "--without",
                           str(tmp_path), "--document", "1", "c", "/bin/true"],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "no Debian package owns it" in done.stderr


def test_in_a_clean_tree(release, smoke):
    smoke("tar", release)
