# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that get into a bundle, from a registry on loopback that is simulated by fake_image_registry.py."""

from __future__ import annotations

import http.server
import json
import pathlib
import sys
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._bundle import images
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.manifest import Manifest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._http_plain import PlainFetch

sys.path.insert(0, str(pathlib.Path(__file__).parents[5] / "tools/fakes"))
import fake_image_registry as fake  # noqa: E402

NOTHING = Manifest()
ARM, AMD = b"layer of arm64", b"layer of amd64"


class Site:
    """A registry with one image for two platforms, and a bundle."""

    def __init__(self, folder):
        self.blobs, self.folder = fake.Blobs(), folder
        self.arm, self.amd = self.blobs.image("arm", ARM), self.blobs.image("amd", AMD)
        self.index = self.blobs.index(arm64=self.arm, amd64=self.amd)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), fake.handler(self.blobs))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def name(self, digest):
        return f"127.0.0.1:{self.server.server_port}/acme/server@{digest}"

    def publish(self, digest, arch="amd64", before=NOTHING, component="model_server"):
        image, work = self.name(digest), str(self.folder / "work")
        fetcher = images.Fetcher(image, images.Login(), work, PlainFetch())
        return images.entries(image, component, fetcher, arch, before, str(self.folder / "bundle"))

    def change(self, digest, data):
        """Have the registry give something else for a digest."""
        self.blobs[digest] = (self.blobs[digest][0], data)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(fake.http.server.BaseHTTPRequestHandler, "log_message", lambda *_args: None)
    site = Site(tmp_path)
    yield site
    site.server.shutdown()
    site.server.server_close()


def files(site):
    return {path.read_bytes() for path in (site.folder / "bundle/images/sha256").iterdir()}


def test_an_index_is_had_with_the_layers_of_one_architecture(site):
    found, new = site.publish(site.index)
    data = {one: site.blobs[one][1] for one in (site.index, site.arm, site.amd)}
    configs = {site.blobs[json.loads(data[one])["config"]["digest"]][1] for one in (site.arm, site.amd)}
    assert files(site) == {*data.values(), *configs, AMD}
    assert new == len(found) == 6
    assert {one.arch for one in found if one.kind == "file"} == {""}
    assert [one.size for one in found if one.arch == "amd64"] == [len(AMD)]
    assert {(one.name, one.suite, one.components) for one in found} == {(site.name(site.index), "", ("model_server",))}


def test_an_image_of_one_platform_is_had_too(site):
    found, _new = site.publish(site.amd)
    assert len(found) == 3 and AMD in files(site)


def test_what_is_there_is_not_fetched_again(site):
    site.publish(site.index)
    for digest in site.blobs:
        site.change(digest, b"other")
    assert site.publish(site.index)[1] == 0


def test_what_two_components_have_is_for_both(site):
    first, _new = site.publish(site.amd)
    second, _new = site.publish(site.amd, before=Manifest(entries=tuple(first)), component="gpu_metrics")
    assert {one.components for one in second} == {("gpu_metrics", "model_server")}


def test_a_manifest_that_is_another_is_refused(site):
    site.change(site.index, site.blobs[site.amd][1])
    with pytest.raises(HostError, match=f"asked for {site.index}, http://127.0.0.1:.* gave {site.amd}"):
        site.publish(site.index)


def test_a_layer_that_is_another_is_refused_and_not_published(site):
    layer = json.loads(site.blobs[site.amd][1])["layers"][0]["digest"]
    site.change(layer, b"layer of other")
    with pytest.raises(HostError, match=f"asked for {layer}"):
        site.publish(site.amd)
    assert not (site.folder / "bundle").exists()


def test_an_architecture_that_an_image_lacks_is_named(site):
    with pytest.raises(HostError, match="has no manifest for linux on s390x"):
        site.publish(site.index, "s390x")


def test_an_image_that_the_registry_lacks_is_named(site):
    with pytest.raises(HostError, match="acme/server.*is not there"):
        site.publish("sha256:" + "0" * 64)


def test_the_manifest_lists_images_by_architecture():
    known = Manifest().with_repository(images.listed(Manifest(), "b", "amd64"))
    assert images.listed(known, "a", "amd64").packages == ("a", "b")
    assert images.listed(known, "a", "arm64").packages == ("a",)


def test_a_login_is_that_of_the_registry_in_the_name():
    registries = [{"name": "r.site", "username": "me", "password": "secret", "ca": None}]
    assert images.login("r.site/x@sha256:1", registries) == images.Login("me", "secret")
    assert images.login("acme/x@sha256:1", registries) == images.Login()
