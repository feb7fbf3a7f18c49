# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of options and components where a mirror is set."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.manifest import Manifest, Repository
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles import variables
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built, Check, Question
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.mirror import (
    MANIFEST,
    OWN_REPOSITORIES,
    OWN_SOURCES,
    URL,
    Mirror,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import specification

FACTS = {"distribution": "Debian", "distribution_release": "trixie", "os_family": "Debian", "architecture": "x86_64"}
KNOWN = Manifest("now", "a key", "AB" * 20, (Repository("docker", "trixie", "amd64", ("docker.io", "runc")),))
MIRROR = Mirror("https://m/b", KNOWN)


@pytest.fixture
def read(tmp_path):
    (tmp_path / "bundle.json").write_text(KNOWN.text())

    def read(role, **values):
        known = {URL: "https://m/b/", MANIFEST: f"{tmp_path}/bundle.json", **values}
        return variables.read(role, known, lambda value: value)

    return read


def component(*packages, **more):
    return Built(component={"name": "docker", "packages": [{"name": name} for name in packages], **more})


def test_packages_come_from_the_bundle_alone():
    theirs = [{"name": "theirs", "uris": ["https://vendor"]}]
    built = MIRROR.apply(component("docker.io", repositories=theirs), FACTS)
    assert built.problems == () and built.component["repositories"] == [
        {
            "name": "mlops-mirror-docker",
            "uris": ["https://m/b/apt/trixie/"],
            "suites": ["docker/"],
            "key": "a key",
            "fingerprint": "AB" * 20,
        }
    ]


@pytest.mark.parametrize(
    "built",
    [
        Built(),
        Built(component={"name": "docker", "state": "absent"}),
        component(),
        Built(component={"name": "x", "files": []}),
    ],
)
def test_what_installs_nothing_stays_as_it_is(built):
    assert MIRROR.apply(built, FACTS) == built


EL = {
    "distribution": "Rocky",
    "distribution_release": "Blue Onyx",
    "distribution_major_version": "9",
    "os_family": "RedHat",
    "architecture": "x86_64",
}
OF_EL = Mirror("https://m/b", Manifest("now", "a key", "AB" * 20, (Repository("docker", "el9", "amd64", ("runc",)),)))


def test_packages_of_an_enterprise_linux_are_trusted_by_the_signature_of_their_index():
    built = OF_EL.apply(component("runc", repositories=[{"name": "theirs", "uris": ["https://vendor"]}]), EL)
    assert built.problems == () and built.component["repositories"] == [
        {
            "name": "mlops-mirror-docker",
            "uris": ["https://m/b/rpm/el9/docker/"],
            "key": "a key",
            "fingerprint": "AB" * 20,
            "gpg_check": "metadata",
        }
    ]


def test_an_enterprise_linux_that_the_bundle_lacks_is_a_sentence():
    (problem,) = MIRROR.apply(component("runc"), EL).problems
    assert "has no packages of docker for Rocky el9 on amd64; run the playbook bundle" in problem
    (problem,) = OF_EL.apply(component("docker-ce"), EL).problems
    assert "lacks the packages docker-ce of docker for Rocky el9 on amd64" in problem


def test_a_package_that_the_bundle_lacks_is_a_sentence():
    (problem,) = MIRROR.apply(component("docker.io", "buildah"), FACTS).problems
    assert "lacks the packages buildah of docker for Debian trixie on amd64" in problem


def test_a_release_that_the_bundle_lacks_is_a_sentence():
    (problem,) = MIRROR.apply(component("docker.io"), {**FACTS, "distribution_release": "bookworm"}).problems
    assert "has no packages of docker for Debian bookworm on amd64" in problem


def test_models_come_from_the_mirror_and_no_token_goes_there(read):
    artifacts = [
        {"name": "a", "source": "hf://acme/tiny", "revision": "c" * 40, "token": "secret"},
        {"name": "b", "source": "https://x.example/b.gguf", "sha256": "0" * 64},
        {"name": "c", "source": "file:///srv/c.gguf", "sha256": "0" * 64},
        {"name": "d", "source": "hf://acme/own", "revision": "c" * 40, "endpoint": "https://hub.site"},
    ]
    found = read("model_store", model_store_artifacts=artifacts, model_store_token="secret").options
    assert found["endpoint"] == "https://m/b/hub" and found["token"] == ""
    assert [one["source"] for one in found["artifacts"]] == [
        "hf://acme/tiny",
        "https://m/b/web/x.example/b.gguf",
        "file:///srv/c.gguf",
        "hf://acme/own",
    ]
    assert "secret" not in json.dumps(found["artifacts"][0])
    assert found["artifacts"][3]["endpoint"] == "https://hub.site"


def test_wheels_come_from_the_mirror(read):
    found = read("model_runtime")
    assert found.options["index_url"] == "https://m/b/wheels/simple/" and found.mirror


def test_a_source_of_the_roles_own_counts_before_the_mirror(read):
    found = read("model_runtime", model_runtime_index_url="https://pypi.site/simple")
    # What its environments need of the distribution is in the bundle all the same.
    assert found.options["index_url"] == "https://pypi.site/simple" and found.mirror
    assert read("model_store", model_store_endpoint="https://hub.site").options["endpoint"] == "https://hub.site"


@pytest.mark.parametrize(
    ("role", "option"), [(role, f"{role}_{noun}") for role, nouns in OWN_REPOSITORIES.items() for noun in nouns]
)
def test_a_repository_of_the_roles_own_counts_before_the_mirror(read, role, option):
    assert read(role).mirror is not None
    assert read(role, **{option: "https://repository.site"}).mirror is None


def test_all_options_that_count_before_it_are_options_of_roles():
    for role, nouns in {**OWN_REPOSITORIES, **OWN_SOURCES}.items():
        assert {f"{role}_{noun}" for noun in nouns} <= set(specification(role))


def test_without_a_mirror_nothing_changes(read):
    found = read("model_store", **{URL: ""})
    assert found.options["endpoint"] == "https://huggingface.co" and found.mirror is None


def test_a_role_that_goes_needs_no_mirror(read):
    found = read("model_store", model_store_state="absent", **{MANIFEST: "/nowhere"})
    assert found.problems == () and found.mirror is None


def test_a_mirror_without_its_manifest_is_refused(read):
    (problem,) = read("model_store", **{MANIFEST: "/nowhere/bundle.json"}).problems
    assert problem.startswith("mlops_hosts_mirror_manifest must be the path of the bundle's bundle.json")


def test_a_mirror_that_is_no_address_is_refused(read):
    (problem,) = read("model_store", **{URL: "mirror.example.org"}).problems
    assert problem.startswith("mlops_hosts_mirror must be an address such as https://")


IMAGE, POD = "r.site:5000/a@sha256:" + "1" * 64, "r.site/b@sha256:" + "2" * 64
DOCKER_IMAGE = "127.0.0.1:5098/r.site_5000/a@sha256:" + "1" * 64
IMAGES = Mirror("https://m/b", Manifest(repositories=(Repository("images", "", "amd64", (IMAGE, POD)),)))


def test_images_come_from_the_bundle_and_docker_has_them_by_another_name():
    images = [{"name": IMAGE, "engine": "docker"}, {"name": POD, "engine": "podman"}]
    files = [{"path": "/x", "content": f"run {IMAGE} {POD} and {IMAGE[:-1]}"}]
    built = IMAGES.apply(Built(component={"name": "x", "files": files, "images": images}), FACTS)
    assert built.problems == () and built.component["images"] == [
        {"name": DOCKER_IMAGE, "engine": "docker", "mirror": "https://m/b"},
        {"name": POD, "engine": "podman", "mirror": "https://m/b"},
    ]
    assert built.component["files"][0]["content"] == f"run {DOCKER_IMAGE} {POD} and {IMAGE[:-1]}"


def test_images_that_a_role_pulls_by_itself_come_from_the_bundle():
    other = "r.site/other@sha256:" + "3" * 64
    check = Check(
        Question("mlops.hosts.container_image", {"images": [IMAGE, other], "provider": "docker"}), lambda _: []
    )
    built = IMAGES.apply(Built(checks=(check,), rest=lambda *_: {"images": [IMAGE, other]}), FACTS)
    assert built.checks[0].question.args["images"] == [DOCKER_IMAGE, other]
    assert built.rest(True, False) == {"images": [DOCKER_IMAGE, other], "mirrors": {DOCKER_IMAGE: "https://m/b"}}


@pytest.mark.parametrize("engine", ["docker", "crio"])
def test_an_image_that_the_bundle_or_the_engine_has_not_stays_as_it_is(engine):
    image = POD if engine == "crio" else "r.site/other@sha256:" + "3" * 64
    built = Built(component={"name": "x", "images": [{"name": image, "engine": engine}]})
    assert IMAGES.apply(built, FACTS).component == built.component


def test_an_image_of_another_architecture_is_a_sentence():
    built = Built(component={"name": "x", "images": [{"name": IMAGE, "engine": "podman"}]})
    (problem,) = IMAGES.apply(built, {**FACTS, "architecture": "aarch64"}).problems
    assert f"has the image {IMAGE} for amd64, and not for arm64" in problem
