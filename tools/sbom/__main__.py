# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/sbom.cdx.json, in CycloneDX 1.6: what roles download, from their own vars and pinned requirements.

    python -m tools.sbom

A package of a distribution has no version here: the distribution's release has it, and its signed index has the hash.
One of a vendor has the version that the role pins, if it pins one, and the key that its repository must be signed by.
Wheels have all hashes that pip accepts. Models, images and environments of a site are its own, which it pins by digest.
Licences are in licences.csv; NOASSERTION is one that is not known.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import sys
import typing as t
from pathlib import Path

import yaml

from tools.pins.locks import locked

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "sbom.cdx.json"
LICENCES = Path(__file__).with_name("licences.csv")
UNKNOWN = "NOASSERTION"
BY_DISTRIBUTION = "the signed index of the distribution"
BY_SITE = "an OpenPGP key that the site gives"
# No distribution has them, and no repository of theirs is known here: the site has one.
OF_SITES = ("alloy", "otelcol-contrib", "vector")

Data = t.Mapping[str, t.Any]


class Problem(Exception):
    """What the bill lacks, in a sentence."""


@dataclasses.dataclass(frozen=True, order=True)
class Entry:
    """Something that a role downloads. ``version`` is None where the role pins none; ``hashes`` are of sha256."""

    role: str
    name: str
    version: str | None
    source: str
    verified_by: str
    hashes: tuple[str, ...] = ()


def entries(root: Path = ROOT) -> list[Entry]:
    found: set[Entry] = set()
    for path in sorted(root.glob("roles/*/vars/*.yml")):
        role, data = path.parents[1].name, yaml.safe_load(path.read_text()) or {}
        found |= {
            Entry(role, _name(name), None, "a repository of the site", BY_SITE)
            if name in OF_SITES
            else Entry(role, _name(name), None, "the distribution", BY_DISTRIBUTION)
            for names, at in _package_lists(data)
            if not _of_vendor(at)
            for name in names
        }
    for path in sorted(root.glob("roles/*/files/*.txt")):
        found |= set(_wheels(path.parents[1].name, path.read_text()))
    found |= set(_vendors(root))
    return sorted(found, key=lambda one: (one.role, one.name, one.version or "", one.source, one.verified_by))


def _package_lists(node: t.Any, at: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[list[str], tuple[t.Any, ...]]]:
    """Names of packages that are installed, and the dictionaries that they are in, the outermost first."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "distribution_needs" or str(key).endswith(("packages", "distribution_package")):
                yield list(_flat(value)), (*at, node)
            elif key not in ("collides", "rivals"):
                yield from _package_lists(value, (*at, node))
    elif isinstance(node, list):
        for item in node:
            yield from _package_lists(item, at)


def _flat(node: t.Any) -> t.Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        yield from [node["name"]] if "name" in node else (name for item in node.values() for name in _flat(item))
    else:
        yield from (name for item in node for name in _flat(item))


def _of_vendor(at: tuple[t.Any, ...]) -> bool:
    """Whether the list belongs to a repository of its own, which _vendors knows."""
    return any("host" in one or "repository" in one for one in at)


def _name(name: str) -> str:
    """PYTHON is the interpreter of an environment."""
    return name.replace("PYTHON", "python3")


def _wheels(role: str, text: str) -> t.Iterator[Entry]:
    for one in locked(text):
        yield Entry(
            role, one.name, one.version, f"https://pypi.org/project/{one.name}/{one.version}/", "sha256", one.hashes
        )


def _vendors(root: Path) -> t.Iterator[Entry]:
    engines = role_vars(root, "container_runtime", "any")["vendors"]
    docker = engines["docker"]
    keys = {docker["fingerprint"], role_vars(root, "container_runtime", "RedHat")["platform"]["docker_fingerprint"]}
    for name in docker["packages"]:
        yield Entry("container_runtime", name, None, docker["host"], _key(*sorted(keys)))
    crio = engines["crio"]
    yield Entry("container_runtime", "cri-o", None, f"{crio['host']}/{crio['path']}", BY_SITE)
    for vendor, one in engines["toolkits"].items():
        name, by = f"{vendor}-container-toolkit", _key(one.get("fingerprint", ""))
        yield Entry("container_runtime", name, str(one["version"]), one["host"], by)
    for role, name in (("gpu_driver", "nvidia-driver"), ("cuda_toolkit", "cuda-toolkit")):
        url = yaml.safe_load((root / f"roles/{role}/defaults/main.yml").read_text())[f"{role}_repository_url"]
        for path in sorted((root / f"roles/{role}/vars").glob("[A-Z]*.yml")):
            for release in role_vars(root, role, path.stem)["platform"]["releases"].values():
                versions = release.get("default_version", {})
                vendor = versions.get("vendor") or None
                yield Entry(role, name, vendor, f"{url}/{release['directory']}", _key(release["fingerprint"]))
                if versions.get("distribution"):
                    yield Entry(role, name, versions["distribution"], "the distribution", BY_DISTRIBUTION)
    for name in ("amdgpu-dkms", "rocm"):
        yield Entry("gpu_driver", name, None, "https://repo.radeon.com", BY_SITE)
    for name, shipper in role_vars(root, "log_shipper", "Debian")["shippers"].items():
        if repository := shipper.get("repository"):
            key = root / "roles/log_shipper/files" / repository["key_src"]
            digest = hashlib.sha256(key.read_bytes()).hexdigest()
            by = f"{_key(repository['fingerprint'])}, in {key.name} of sha256 {digest}"
            for package in shipper["packages"]:
                yield Entry("log_shipper", package, None, f"log_shipper_repository_url ({name})", by)


def role_vars(root: Path, role: str, file: str) -> Data:
    """By the names of variables without ``__<role>_``."""
    found = yaml.safe_load((root / f"roles/{role}/vars/{file}.yml").read_text())
    return {name.removeprefix(f"__{role}_"): value for name, value in found.items()}


def _key(*fingerprints: str) -> str:
    known = [one for one in fingerprints if one]
    return f"the OpenPGP key {' or '.join(known)}" if known else BY_SITE


def licences() -> dict[str, str]:
    with open(LICENCES, encoding="utf-8", newline="") as file:
        return {row["name"]: row["licence"] for row in csv.DictReader(file)}


def bill(root: Path = ROOT) -> str:
    """The document as text. Problem for a name without a row in licences.csv."""
    known, listed = licences(), entries(root)
    if missing := sorted({one.name for one in listed} - known.keys()):
        raise Problem(f"licences.csv must have a licence, or {UNKNOWN}, for {', '.join(missing)}")
    galaxy = yaml.safe_load((root / "galaxy.yml").read_text())
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "bom-ref": "mlops.hosts",
                "type": "application",
                "name": f"{galaxy['namespace']}.{galaxy['name']}",
                "version": galaxy["version"],
                "licenses": [{"license": {"id": "GPL-3.0-or-later"}}],
            }
        },
        "components": [_component(number, one, known[one.name]) for number, one in enumerate(listed)],
    }
    return json.dumps(document, indent=1) + "\n"


def _component(number: int, one: Entry, licence: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {"bom-ref": f"{one.role}/{number}", "type": "library", "name": one.name}
    if one.version:
        found["version"] = one.version
    if licence != UNKNOWN:
        found["licenses"] = [{"expression": licence}]
    if one.hashes:
        found["purl"] = f"pkg:pypi/{one.name}@{one.version}"
    if one.source.startswith("https://"):
        hashes = {"hashes": [{"alg": "SHA-256", "content": value} for value in one.hashes]} if one.hashes else {}
        found["externalReferences"] = [{"type": "distribution", "url": one.source, **hashes}]
    properties = {"role": one.role, "source": one.source, "verified_by": one.verified_by}
    found["properties"] = [{"name": f"mlops.hosts:{name}", "value": value} for name, value in properties.items()]
    return found


def main() -> int:
    try:
        PAGE.write_text(bill())
    except Problem as problem:
        print(f"sbom: {problem}", file=sys.stderr)
        return 1
    print(f"sbom: {len(entries())} entries in {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
