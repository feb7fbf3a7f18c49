#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a signed package repository of fake packages on a test host.

    fake_repository.py {apt|dnf} DIRECTORY [SUITE[/COMPONENT]] < packages.json

packages.json is a list of ``{name, version, files: {path: content}, executable: [paths]}``, and where needed
``binary: {path: content in base64}``, ``scripts: {preinst: text, ...}`` by the packager's own names, ``depends``,
``conflicts``, ``provides`` and ``replaces`` (lists, in the packager's own words), ``architecture``, ``maintainer``
(rpm: the vendor) and ``conffiles`` (paths). DIRECTORY becomes a flat repository that apt (apt-utils and gnupg
installed) or dnf (rpm with rpmbuild and rpmsign, createrepo_c and gnupg installed) can use by a file: address; its
public key is DIRECTORY/key.asc, its fingerprint DIRECTORY/fingerprint.
A repository that is there gets the packages added; an empty list writes the index of the packages that are still there.
With SUITE it is no flat one for apt, but has that suite with one component, main unless it is named, for amd64.
It stands in for a vendor's repository that a test cannot reach.

For dnf a version may have an epoch and a release (``1:2.0-3``), and a package a ``signature``: ``foreign``, by a key
that the repository does not offer, or ``none``. An item ``{modules: text}`` is the repository's modules.yaml.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import Any

KEY_NAME = "mlops.hosts fake repository"
MODULES = "modules.yaml"
SIGNATURES = ("repository", "foreign", "none")
# What rpmbuild does to files of a distribution, and looks for in them, takes half of its time, and these are fakes.
AS_THEY_ARE = {"__os_install_post": "%{nil}", "__check_files": "%{nil}", "_build_id_links": "none"}
RELATIONS_DEB = {"depends": "Depends", "conflicts": "Conflicts", "provides": "Provides", "replaces": "Replaces"}
RELATIONS_RPM = {"depends": "Requires", "conflicts": "Conflicts", "provides": "Provides", "replaces": "Obsoletes"}


def main(kind: str, directory: str, suite: str = "") -> None:
    root = pathlib.Path(directory)
    root.mkdir(parents=True, exist_ok=True)
    home = root.parent / f".{root.name}-gnupg"
    fingerprint = _key(home)
    described = json.load(sys.stdin)
    packages = [item for item in described if "modules" not in item]
    for item in described:
        if "modules" in item:
            (root / MODULES).write_text(item["modules"])
    if kind == "apt":
        for package in packages:
            with tempfile.TemporaryDirectory() as work:
                _deb(package, pathlib.Path(work), root)
    else:
        for signature in SIGNATURES:
            _rpms([one for one in packages if one.get("signature", SIGNATURES[0]) == signature], root, signature, home)
    (root / "key.asc").write_text(_gpg(home, "--armor", "--export", fingerprint))
    (root / "fingerprint").write_text(fingerprint)
    if kind == "apt":
        _index_apt(root, home, fingerprint, suite)
    else:
        _run("createrepo_c", str(root))
        if (root / MODULES).exists():
            _run("modifyrepo_c", "--mdtype=modules", str(root / MODULES), str(root / "repodata"))
        index = str(root / "repodata/repomd.xml")
        _gpg(home, "--local-user", fingerprint, "--armor", "--detach-sign", "--output", f"{index}.asc", index)


def _key(home: pathlib.Path) -> str:
    if not home.exists():
        home.mkdir(mode=0o700)
        _gpg(home, "--passphrase", "", "--quick-generate-key", KEY_NAME, "rsa2048", "sign", "never")
    listed = _gpg(home, "--with-colons", "--list-keys")
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))


def _deb(package: dict[str, Any], work: pathlib.Path, root: pathlib.Path) -> None:
    _lay(package, work)
    control = work / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(
        f"Package: {package['name']}\nVersion: {package['version']}\n"
        f"Architecture: {package.get('architecture', 'all')}\n"
        f"Maintainer: {package.get('maintainer', 'mlops.hosts tests <tests@example.invalid>')}\n"
        + "".join(f"{field}: {', '.join(package[key])}\n" for key, field in RELATIONS_DEB.items() if package.get(key))
        + "Description: fake for tests\n"
    )
    (control.parent / "conffiles").write_text("".join(f"{path}\n" for path in package.get("conffiles", ())))
    for name, text in package.get("scripts", {}).items():
        (control.parent / name).write_text(text)
        (control.parent / name).chmod(0o755)
    _run("dpkg-deb", "--root-owner-group", "--build", str(work), str(root))


def _rpms(packages: list[dict[str, Any]], root: pathlib.Path, signature: str, home: pathlib.Path) -> None:
    """All at once: a start of rpmbuild takes as long as a package of its own."""
    if not packages:
        return
    with tempfile.TemporaryDirectory() as work:
        specs = [_spec(package, pathlib.Path(work, str(number))) for number, package in enumerate(packages)]
        defined = {"_topdir": f"{work}/rpm", "_rpmdir": f"{work}/made", **AS_THEY_ARE}
        options = [word for name, value in defined.items() for word in ("--define", f"{name} {value}")]
        _run("rpmbuild", "-bb", "--noclean", *options, *specs)
        made = [str(shutil.move(rpm, root / rpm.name)) for rpm in pathlib.Path(work, "made").rglob("*.rpm")]
    if signature == "none":
        return
    if signature == "foreign":
        home = home.parent / f"{home.name}-foreign"
    _run("rpmsign", "--define", f"_gpg_name {_key(home)}", "--define", f"_gpg_path {home}", "--addsign", *made)


def _spec(package: dict[str, Any], work: pathlib.Path) -> str:
    content = work / "content"
    _lay(package, content)
    epoch, _colon, rest = f"0:{package['version']}".rpartition(":")
    version, _dash, release = rest.partition("-")
    spec = work / "package.spec"
    config = package.get("conffiles", ())
    paths = [*package["files"], *package.get("binary", {})]
    files = "\n".join(f"%config(noreplace) {path}" if path in config else path for path in paths)
    spec.write_text(
        f"Name: {package['name']}\nEpoch: {epoch.rpartition(':')[2]}\nVersion: {version}\nRelease: {release or '1'}\n"
        "Summary: fake for tests\nLicense: GPL-3.0-or-later\nAutoReqProv: no\n"
        f"BuildArch: {package.get('architecture', 'noarch')}\n"
        + (f"Vendor: {package['maintainer']}\n" if "maintainer" in package else "")
        + "".join(f"{tag}: {each}\n" for key, tag in RELATIONS_RPM.items() for each in package.get(key, ()))
        + "%description\nfake for tests\n"
        + "".join(f"%{name}\n{text}\n" for name, text in package.get("scripts", {}).items())
        + f"%install\ncp -a {content}/. %{{buildroot}}/\n%files\n{files}\n"
    )
    return str(spec)


def _lay(package: dict[str, Any], root: pathlib.Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    contents = {path: text.encode() for path, text in package["files"].items()}
    contents |= {path: base64.b64decode(text) for path, text in package.get("binary", {}).items()}
    for path, content in contents.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if path in package.get("executable", ()) else 0o644)


def _index_apt(root: pathlib.Path, home: pathlib.Path, fingerprint: str, suite: str) -> None:
    suite, _slash, component = suite.partition("/")
    component = component or "main"
    top = root / "dists" / suite if suite else root
    index = top / component / "binary-amd64/Packages" if suite else top / "Packages"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text(_run("apt-ftparchive", "packages", ".", cwd=root))
    (top / "Release").unlink(missing_ok=True)
    fields = {"Suite": suite, "Codename": suite, "Components": component, "Architectures": "amd64"} if suite else {}
    options = [word for name, value in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    release = _run("apt-ftparchive", *options, "release", ".", cwd=top)
    (top / "Release").write_text(release)
    _gpg(home, "--local-user", fingerprint, "--clearsign", "--output", str(top / "InRelease"), str(top / "Release"))


def _gpg(home: pathlib.Path, *argv: str) -> str:
    return _run("gpg", "--homedir", str(home), "--batch", "--yes", *argv)


def _run(*argv: str, cwd: pathlib.Path | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        raise SystemExit(
            f"{' '.join(argv)} exited with status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("apt", "dnf"):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
