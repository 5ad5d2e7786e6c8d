#!/usr/bin/python3
"""Writes the SPDX 2.3 document of the static program: creel, and the packages of the distribution (Debian or Ubuntu) whose objects
are linked in; or copies their licences.

What is linked in is read from the linker's own report (ld --trace --trace), so that a library that is added cannot be forgotten; one
whose licence is not in the table below is an error.
"""

import argparse
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field

# Source packages of Debian, and the licence of what their archives bring into a program.
LICENCES = {
    "libseccomp": "LGPL-2.1-only",
    "musl": "MIT",
    "yajl": "ISC",
}
# The compiler's own package has its version in its name.
GCC = (re.compile(r"gcc-\d+"), "GPL-3.0-or-later WITH GCC-exception-3.1")


@dataclass
class Linked:
    """What is linked in from one source package."""
    package: str
    version: str
    homepage: str
    files: list = field(default_factory=list)


HOST = platform.freedesktop_os_release()


def licence_of(source):
    """The SPDX expression of a source package."""
    if source in LICENCES:
        return LICENCES[source]
    if GCC[0].fullmatch(source):
        return GCC[1]
    sys.exit(f"sbom: {source} is linked in, and packaging/sbom.py does not know its licence")


def linked_files(report, without):
    """The archives and objects of the system that the linker took something from."""
    files = set()
    for line in report.read_text().splitlines():
        # An archive alone was only searched; "(archive)member" was taken.
        match = re.fullmatch(r"\((.+)\).+", line) or re.fullmatch(r"(/.+\.o)", line)
        if match and match[1].startswith("/"):
            path = os.path.realpath(match[1])
            if not path.startswith(f"{os.path.realpath(without)}/"):
                files.add(path)
    return sorted(files)


def query(package, *fields):
    """Fields of an installed package."""
    text = "\\t".join(f"${{{field}}}" for field in fields)
    done = subprocess.run(["dpkg-query", "-W", "-f", text, package], check=True, capture_output=True,
                          text=True)
    return done.stdout.split("\t")


def packages_of(files):
    """{source package: Linked} of FILES."""
    found = {}
    for path in files:
        done = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"sbom: {path} is linked in, and no Debian package owns it")
        package = done.stdout.split(": ")[0]
        source, version, homepage = query(package, "source:Package", "source:Version", "Homepage")
        item = found.setdefault(source, Linked(package.split(":")[0], version, homepage))
        item.files.append(path)
    return dict(sorted(found.items()))


def digest(path, kind):
    """The hexadecimal digest of a file."""
    return hashlib.new(kind, path.read_bytes()).hexdigest()


def library(source, item):
    """The package of one library."""
    return {
        "SPDXID": f"SPDXRef-Package-{source}",
        "name": source,
        "versionInfo": item.version,
        "supplier": f"Organization: {HOST['ID']}",
        "downloadLocation": "NOASSERTION",
        "homepage": item.homepage or "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": licence_of(source),
        "licenseDeclared": licence_of(source),
        "copyrightText": "NOASSERTION",
        "comment": "linked in statically: " + ", ".join(pathlib.Path(f).name for f in item.files),
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": f"pkg:deb/{HOST['ID']}/{source}@{item.version}?arch=source",
        }],
    }


def document(version, commit, program, found):
    """The whole document."""
    libraries = [library(source, item) for source, item in found.items()]
    sha1, sha256 = digest(program, "sha1"), digest(program, "sha256")
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))
    creel = {
        "SPDXID": "SPDXRef-Package-creel",
        "name": "creel",
        "versionInfo": version,
        "supplier": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": True,
        "packageVerificationCode": {
            "packageVerificationCodeValue": hashlib.sha1(sha1.encode()).hexdigest()},
        "licenseConcluded": "Apache-2.0",
        "licenseDeclared": "Apache-2.0",
        "licenseInfoFromFiles": ["Apache-2.0"],
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "APPLICATION",
        "sourceInfo": f"git commit {commit}",
        "hasFiles": ["SPDXRef-File-creel"],
    }
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"creel-{version}",
        # The same program has the same name, another program another.
        "documentNamespace": f"https://creel.example/spdx/creel-{version}-{sha256}",
        "creationInfo": {"created": created, "creators": ["Tool: creel-packaging-sbom"]},
        "documentDescribes": [creel["SPDXID"]],
        "packages": [creel, *libraries],
        "files": [{
            "SPDXID": "SPDXRef-File-creel",
            "fileName": "./bin/creel",
            "fileTypes": ["BINARY"],
            "checksums": [{"algorithm": "SHA1", "checksumValue": sha1},
                          {"algorithm": "SHA256", "checksumValue": sha256}],
            "licenseConcluded": " AND ".join(
                ["Apache-2.0", *(f"({item['licenseConcluded']})" for item in libraries)]),
            "licenseInfoInFiles": ["NOASSERTION"],
            "copyrightText": "NOASSERTION",
        }],
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
             "relatedSpdxElement": creel["SPDXID"]},
            {"spdxElementId": creel["SPDXID"], "relationshipType": "CONTAINS",
             "relatedSpdxElement": "SPDXRef-File-creel"},
            *({"spdxElementId": creel["SPDXID"], "relationshipType": "STATIC_LINK",
               "relatedSpdxElement": item["SPDXID"]} for item in libraries),
        ],
    }


def main():
    """Prints the document, or copies the licences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--linked", required=True, type=pathlib.Path,
                        help="what ld --trace --trace has said")
    parser.add_argument("--without", required=True, help="the directory of our own objects")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--document", nargs=3, metavar=("VERSION", "COMMIT", "PROGRAM"))
    what.add_argument("--copyrights", type=pathlib.Path, metavar="DIRECTORY",
                      help="put the packages' copyright files there")
    options = parser.parse_args()
    found = packages_of(linked_files(options.linked, options.without))
    if not any(path.endswith(".a") for item in found.values() for path in item.files):
        sys.exit("sbom: the linker's report names no archive")
    if options.copyrights:
        for source, item in found.items():
            shutil.copyfile(f"/usr/share/doc/{item.package}/copyright", options.copyrights / source)
        return
    version, commit, program = options.document
    print(json.dumps(document(version, commit, pathlib.Path(program), found), indent=2))


if __name__ == "__main__":
    main()
