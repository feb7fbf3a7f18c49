# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials has all that roles name, and says by what each is verified."""

from __future__ import annotations

import json
import re
import shutil

import license_expression
import packageurl
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools.sbom import __main__ as sbom


def test_the_bill_is_that_of_the_roles():
    assert sbom.PAGE.read_text() == sbom.bill(), "run: python -m tools.sbom"


def invalid(text):
    """What CycloneDX's own JSON schema says of a document, None where it is valid."""
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return found and str(found)


def test_the_bill_is_what_the_schema_of_its_format_takes():
    assert invalid(sbom.bill()) is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sha256": "x"}, "Additional properties are not allowed ('sha256' was unexpected)"),
        ({"licenses": [{"license": {"id": "Apache 2"}}]}, "'Apache 2'}}] is not valid under any of the given schemas"),
        ({"type": "package"}, "'package' is not one of"),
    ],
)
def test_a_bill_that_the_schema_does_not_take_is_found(change, complaint):
    document = json.loads(sbom.bill())
    document["components"][0].update(change)
    assert complaint in invalid(json.dumps(document))


def test_what_the_schema_does_not_tell_holds():
    document = json.loads(sbom.bill())
    assert document["specVersion"] == SchemaVersion.V1_6.to_version()
    components = [document["metadata"]["component"], *document["components"]]
    references = [one["bom-ref"] for one in components]
    assert sorted(references) == sorted(set(references)), "a reference is of one component"
    for purl in (one["purl"] for one in components if "purl" in one):
        assert packageurl.PackageURL.from_string(purl).to_string() == purl


def test_licences_are_those_of_spdx():
    known = license_expression.get_spdx_licensing()
    named = {key for text in sbom.licences().values() if text != sbom.UNKNOWN for key in known.license_keys(text)}
    # A licence that SPDX has no name for is a LicenseRef, with where it is.
    assert [key for key in named if key not in known.known_symbols and not key.startswith("LicenseRef-")] == []


def test_every_entry_says_where_it_is_from_and_what_it_is_verified_by():
    for one in json.loads(sbom.bill())["components"]:
        properties = {item["name"].partition(":")[2]: item["value"] for item in one["properties"]}
        assert properties.keys() == {"role", "source", "verified_by"}
        assert all(properties.values()), one
        assert (sbom.ROOT / "roles" / properties["role"]).is_dir()


def test_wheels_have_the_hashes_that_pip_is_given():
    text = (sbom.ROOT / "roles/ray_cluster/files/ray.txt").read_text()
    wheels = [one for one in sbom.entries() if one.role == "ray_cluster"]
    assert len(wheels) == len(re.findall(r"^\S+==", text, re.MULTILINE))
    assert sorted(value for one in wheels for value in one.hashes) == sorted(re.findall(r"sha256:(\w+)", text))


@pytest.mark.parametrize(
    ("name", "version", "verified_by"),
    [
        ("haproxy", None, sbom.BY_DISTRIBUTION),
        ("nvidia-container-toolkit", "1.20.0", "the OpenPGP key C95B321B61E88C1809C4F759DDCAE044F796ECB0"),
        ("amd-container-toolkit", "1.3.0", sbom.BY_SITE),
        ("nvidia-driver", "580", "the OpenPGP key EB693B3035CD5710E231E123A4B469963BF863CC"),
        ("nvidia-driver", "535", sbom.BY_DISTRIBUTION),
        ("vector", None, sbom.BY_SITE),
        ("python3-venv", None, sbom.BY_DISTRIBUTION),
    ],
)
def test_what_pins_an_entry(name, version, verified_by):
    assert (name, version, verified_by) in {(one.name, one.version, one.verified_by) for one in sbom.entries()}


def test_a_package_without_a_known_licence_is_named(tmp_path):
    for name in ("roles", "galaxy.yml"):
        (shutil.copytree if (sbom.ROOT / name).is_dir() else shutil.copy)(sbom.ROOT / name, tmp_path / name)
    (tmp_path / "roles/model_gateway/vars/any.yml").write_text("__model_gateway_x: {packages: [made-up]}\n")
    with pytest.raises(sbom.Problem, match="must have a licence, or NOASSERTION, for made-up"):
        sbom.bill(tmp_path)


def test_no_licence_is_listed_for_what_nobody_downloads():
    names = {one.name for one in sbom.entries()}
    assert sorted(sbom.licences().keys() - names) == []
