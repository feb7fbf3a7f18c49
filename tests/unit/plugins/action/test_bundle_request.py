# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle is to have, built from the variables of a host."""

from __future__ import annotations

import types

import pytest
from ansible_collections.mlops.hosts.plugins.action import bundle_request
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import ROLES

MIRROR = {"mlops_hosts_mirror": "https://mirror.example.org", "mlops_hosts_mirror_manifest": "/nowhere"}
VENDOR = {
    "container_runtime_provider": "docker",
    "container_runtime_source": "vendor",
    "container_runtime_repository_key": "a key",
}
FACTS = {
    "ansible_distribution": "Debian",
    "ansible_distribution_release": "trixie",
    "ansible_distribution_version": "13",
    "ansible_distribution_major_version": "13",
    "ansible_os_family": "Debian",
    "ansible_architecture": "x86_64",
}


@pytest.fixture
def request_of(monkeypatch):
    def request_of(*roles, **variables):
        task = types.SimpleNamespace(
            args={"roles": list(roles)},
            async_val=0,
            delegate_to="maker",
            environment=[],
            check_mode=False,
            diff=False,
            action="mlops.hosts.bundle_request",
        )
        templar = types.SimpleNamespace(
            template=lambda value: (
                value.replace("{{ model_store_user }}", "models") if isinstance(value, str) else value
            ),
            copy_with_new_env=lambda **_env: templar,
        )
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
        action = bundle_request.ActionModule(task, connection, types.SimpleNamespace(), None, templar, None)
        monkeypatch.setattr(
            bundle_request.role_component, "gather", lambda *_args: {"changed": False, "ansible_facts": FACTS}
        )
        return action.run(task_vars={**MIRROR, "ansible_facts": {"distribution_release": "other"}, **variables})

    return request_of


def test_it_has_what_a_role_would_install_and_no_repository_of_a_mirror(request_of):
    found = request_of("container_runtime", **VENDOR)
    assert found["refused"] == [] and found["os_family"] == "Debian"
    (component,) = found["components"]
    assert "docker-ce" in [one["name"] for one in component["packages"]]
    (repository,) = component["repositories"]
    assert repository["uris"] == ["https://download.docker.com/linux/debian"] and repository["key"] == "a key"
    assert repository["suites"] == ["trixie"], "the host that is asked counts, and not what is known of another"


def test_versions_that_a_role_pins_are_pinned_in_the_bundle(request_of):
    options = {"provider": "docker", "toolkit": "nvidia", "toolkit_key": "a key", "toolkit_fingerprint": "AB" * 20}
    found = request_of("container_runtime", **{f"container_runtime_{name}": value for name, value in options.items()})
    assert found["refused"] == []
    assert any("Pin: version" in text for one in found["components"] for text in one["preferences"])


def test_models_that_no_static_file_can_be_are_named(request_of):
    artifacts = [
        {"name": "a", "source": "hf://acme/tiny", "revision": "c" * 40},
        {"name": "b", "source": "s3://bucket/b", "revision": "d" * 64},
        {"name": "gone", "state": "absent"},
    ]
    found = request_of("model_store", model_store_artifacts=artifacts)
    assert [one["name"] for one in found["models"]] == ["a"] and found["not_mirrored"] == ["s3://bucket/b"]
    assert found["models"][0]["source"] == "hf://acme/tiny"


def test_releases_of_vendors_are_named(request_of):
    url = "https://vendor.example.org/node_exporter-1.10.2.linux-amd64.tar.gz"
    release = {"part": "node_exporter", "version": "1.10.2", "url": url, "sha256": "a" * 64}
    found = request_of("monitoring", monitoring_state="present", monitoring_releases=[release])
    assert (found["refused"], found["not_mirrored"]) == ([], [url])


def test_a_role_that_goes_or_does_nothing_has_no_part(request_of):
    found = request_of("log_shipper", "model_store", "cuda_toolkit", log_shipper_state="absent")
    assert found["components"] == [] and found["refused"] == []


def test_one_role_that_is_refused_leaves_the_others_in_it(request_of):
    found = request_of(
        "log_shipper", "container_runtime", log_shipper_provider="nothing", container_runtime_provider="docker"
    )
    assert [one["role"] for one in found["components"]] == ["container_runtime"]
    (sentence,) = found["refused"]
    assert sentence.startswith("log_shipper: log_shipper_provider must be one of")


def test_the_playbook_asks_for_the_roles_of_the_site():
    import yaml

    (play,) = yaml.safe_load((ROLES.parent / "playbooks/bundle.yml").read_text())
    site = yaml.safe_load((ROLES.parent / "playbooks/site.yml").read_text())
    (roles,) = [play["tasks"][0]["mlops.hosts.host_check"]["roles"] for play in site if "ml_hosts" in play["hosts"]]
    assert play["vars"]["bundle_roles"] == roles


@pytest.mark.parametrize("engine", ["docker", "crio"])
def test_images_are_named_with_the_role_that_has_them_pulled(request_of, engine):
    image = "r.site/a@sha256:" + "1" * 64
    more = {"provider": engine, "images": [image], "repository_fingerprint": "AB" * 20}
    more["version"] = "1.34.*" if engine == "crio" else ""
    options = {**VENDOR, **{f"container_runtime_{name}": value for name, value in more.items()}}
    found = request_of("container_runtime", **options)
    assert found["refused"] == []
    named = {"docker": ([{"name": image, "role": "container_runtime"}], []), "crio": ([], [image])}
    assert (found["images"], found["not_mirrored"]) == named[engine]
