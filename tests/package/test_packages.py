"""The Debian and the RPM package: what checkers say, what is in them, and that they work in a clean tree."""

import re

from conftest import TOP, find, run

BROUGHT = (
    "/usr/bin/creel",
    "/usr/share/bash-completion/completions/creel",
    "/usr/share/zsh/site-functions/_creel",
    "/usr/share/fish/vendor_completions.d/creel.fish",
    "/usr/share/pkgconfig/creel.pc",
    "/usr/share/doc/creel/apparmor/creel",
    "/usr/share/doc/creel/containers/creel.conf",
    "/usr/share/doc/creel/licences/yajl",
)


def manual():
    """The pages that the packages have to bring."""
    # The build writes the page of the error codes.
    return {path.name for path in (TOP / "man").glob("creel*.[1-9]")} | {"creel-errors.7"}


def test_one_version(version):
    """meson.build, debian/changelog and the RPM specification say the same."""
    changelog = (TOP / "debian/changelog").read_text()
    assert re.match(r"creel \((.+)-\d+\) ", changelog)[1] == version
    spec = (TOP / "packaging/creel.spec").read_text()
    assert re.search(r"^Version: +(.+)$", spec, re.M)[1] == version


def test_debian_source(deb, tmp_path):
    """Source format 3.0 (quilt), which unpacks."""
    source = find(deb, "creel_*.dsc")
    assert "Format: 3.0 (quilt)\n" in source.read_text()
    run("dpkg-source", "--no-check", "-x", source, tmp_path / "source")
    assert (tmp_path / "source/debian/rules").exists()
    assert (tmp_path / "source/src/cli/main.c").exists()


def test_lintian(deb):
    """Nothing but information: no error, no warning."""
    run("lintian", "--allow-root", "--fail-on", "error,warning", find(deb, "creel_*.changes"))


def test_debian_contents(deb):
    package = find(deb, "creel_*.deb")
    names = {line.split()[5][1:] for line in run("dpkg-deb", "-c", package).splitlines()}
    assert set(BROUGHT) <= names
    assert {f"{page}.gz" for page in manual()} <= {name.rsplit("/", 1)[1] for name in names}
    # libyajl is linked in; libsystemd is loaded by the containers that need it.
    depends = run("dpkg-deb", "-f", package, "Depends")
    assert re.fullmatch(r"libc6 \([^)]*\)\n", depends), depends


def test_debian_pkg_config(deb, tmp_path):
    run("dpkg-deb", "-x", find(deb, "creel_*.deb"), tmp_path)
    env = {"PKG_CONFIG_LIBDIR": str(tmp_path / "usr/share/pkgconfig"), "PATH": "/usr/bin:/bin"}
    assert run("pkg-config", "--variable=runtime", "creel", env=env) == "/usr/bin/creel\n"
    assert run("pkg-config", "--variable=docdir", "creel", env=env) == "/usr/share/doc/creel\n"


def test_debian_apparmor(deb, tmp_path):
    """The profile is active where the distribution's AppArmor can read it."""
    package = find(deb, "creel_*.deb")
    run("dpkg-deb", "-e", package, tmp_path / "control")
    run("dpkg-deb", "-x", package, tmp_path / "files")
    can = int(run("dpkg-query", "-W", "-f", "${Version}", "dh-apparmor").split(".")[0]) >= 4
    assert (tmp_path / "files/etc/apparmor.d/creel").exists() == can
    assert (tmp_path / "control/postinst").exists() == can


def test_rpm_contents(rpm, version):
    package = find(rpm, f"RPMS/*/creel-{version}-*.rpm")
    names = set(run("rpm", "-qpl", package).splitlines())
    assert set(BROUGHT) <= names
    assert manual() <= {name.rsplit("/", 1)[1].removesuffix(".gz") for name in names}
    requires = {line.split("(")[0] for line in run("rpm", "-qp", "--requires", package).splitlines()}
    assert requires <= {"libc.so.6", "rpmlib", "rtld", "ld-linux-x86-64.so.2"}, requires
    assert find(rpm, f"SRPMS/creel-{version}-*.src.rpm")


def test_deb_in_a_clean_tree(deb, smoke):
    smoke("deb", deb)


def test_rpm_in_a_clean_tree(rpm, smoke):
    smoke("rpm", rpm)


def test_apparmor_profile():
    """The laboratory's AppArmor 4 reads it, and would not read a rule that it does not know."""
    profile = TOP / "share/apparmor/creel"
    words = [TOP / "tests/lab/fast", "--timeout", "60", "sh", "-c"]
    said = run(*words, f"apparmor_parser -QKN '{profile}'")
    assert said.splitlines()[-1] == "creel"
    run(*words, f"! sed 's/userns,/no&/' '{profile}' | apparmor_parser -QK 2>/dev/null")
