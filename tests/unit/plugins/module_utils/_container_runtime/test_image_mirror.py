# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images out of a bundle: the mirror is a real web server on loopback, the engine a function that asks as one does."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import pathlib
import re
import socket
import threading
import urllib.error
import urllib.request

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._container_runtime import images, mirror
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError, HostError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

LAYER = b"a layer"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


MANIFEST = json.dumps({"layers": [{"digest": f"sha256:{sha256(LAYER)}"}], "config": {}}).encode()
IMAGE = f"registry.site:5000/acme/server@sha256:{sha256(MANIFEST)}"


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "images/sha256"
    folder.mkdir(parents=True)
    for data in (LAYER, MANIFEST):
        (folder / sha256(data)).write_bytes(data)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


class Engine:
    """Simulates an engine: finds the registry where it was told, and takes what has the right digest."""

    def __init__(self):
        self.argv, self.told, self.types, self.got = (), "", [], {}

    def __call__(self, *argv, timeout_s=None, stdin=None):
        self.argv, image = argv, argv[-1]
        registry, repository, query = image.partition("/")[0], image.partition("/")[2].partition("@")[0], ""
        for word in argv:
            if word.startswith("CONTAINERS_REGISTRIES_CONF="):
                self.told = pathlib.Path(word.partition("=")[2]).read_text()
                registry, repository = re.search(r'location = "(127[^"]+)"', self.told)[1].split("/")
            if word == "--hosts-dir":
                folder = pathlib.Path(argv[argv.index(word) + 1])
                self.told = (folder / image.partition("/")[0] / "hosts.toml").read_text()
                registry, query = re.search(r'http://([^"]+)', self.told)[1], "?ns=registry.site"
        try:
            manifest = self.ask(f"http://{registry}/v2/{repository}/manifests/", image.rpartition("@")[2], query)
            for layer in json.loads(manifest)["layers"]:
                self.ask(f"http://{registry}/v2/{repository}/blobs/", layer["digest"], query)
        except (urllib.error.URLError, ValueError) as exc:
            return Completed(argv, 1, "", f"it is so: {exc}")
        return Completed(argv, 0, "", "")

    def ask(self, at, digest, query):
        with urllib.request.urlopen(f"{at}{digest}{query}", timeout=10) as answer:
            data = answer.read()
            self.types.append(answer.headers["Content-Type"])
        if f"sha256:{sha256(data)}" != digest:
            raise ValueError("the digest did not match")
        self.got[digest] = data
        return data


def pull(bundle, image, provider, engine):
    images.pull(image, provider, engine, timeout_s=10, mirror=f"{bundle[0]}/")


@pytest.mark.parametrize("provider", ["podman", "containerd"])
def test_it_is_pulled_by_its_own_name_from_a_mirror_on_this_host(bundle, provider):
    engine = Engine()
    pull(bundle, IMAGE, provider, engine)
    assert list(engine.got.values()) == [MANIFEST, LAYER]
    assert engine.types[0] == "application/vnd.oci.image.manifest.v1+json"
    assert engine.argv[-1] == IMAGE
    if provider == "podman":
        assert 'prefix = "registry.site:5000/acme/server"' in engine.told and "insecure = true" in engine.told
    else:
        assert engine.argv.count("--hosts-dir") == 1


def test_an_image_of_docker_has_the_name_that_engines_make_of_it(bundle):
    engine = Engine()
    pull(bundle, f"docker.io/server@sha256:{sha256(MANIFEST)}", "podman", engine)
    assert 'prefix = "docker.io/library/server"' in engine.told


def test_docker_pulls_it_by_the_name_that_it_has_on_this_host(bundle):
    engine = Engine()
    pull(bundle, mirror.docker_name(IMAGE), "docker", engine)
    assert engine.argv == (
        *("docker", "pull", "--quiet"),
        f"127.0.0.1:{mirror.DOCKER_PORT}/registry.site_5000/acme/server@sha256:{sha256(MANIFEST)}",
    )
    assert len(engine.got) == 2


def test_nothing_listens_after_a_pull(bundle):
    engine = Engine()
    pull(bundle, IMAGE, "podman", engine)
    port = int(re.search(r"127\.0\.0\.1:(\d+)/image", engine.told)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


@pytest.mark.parametrize("data", [LAYER, MANIFEST])
def test_a_blob_that_is_another_is_named(bundle, data):
    (bundle[1] / sha256(data)).write_bytes(data.replace(b"layer", b"other"))
    with pytest.raises(
        CommandError, match=rf"from the mirror: .*/{sha256(data)} is not what its name says; copy it again"
    ):
        pull(bundle, IMAGE, "podman", Engine())


@pytest.mark.parametrize("data", [LAYER, MANIFEST])
def test_a_blob_that_is_missing_is_named(bundle, data):
    (bundle[1] / sha256(data)).unlink()
    with pytest.raises(CommandError, match=rf"/{sha256(data)} has status 404; copy the whole bundle to the mirror"):
        pull(bundle, IMAGE, "podman", Engine())


def test_a_mirror_that_does_not_answer_is_named():
    with pytest.raises(CommandError, match=r"http://127\.0\.0\.1:9/images/.* cannot be reached"):
        images.pull(IMAGE, "podman", Engine(), timeout_s=10, mirror="http://127.0.0.1:9")


def test_an_engine_that_fails_by_itself_says_why(bundle):
    def full(*argv, **_options):
        return Completed(argv, 1, "", "no space left on device")

    with pytest.raises(CommandError, match="no space left on device"):
        pull(bundle, IMAGE, "podman", full)


def test_a_port_that_another_program_has_is_a_sentence(bundle):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", mirror.DOCKER_PORT))
        taken.listen()
        with pytest.raises(HostError, match=f"port {mirror.DOCKER_PORT} of 127.0.0.1 is needed for the time of a pull"):
            pull(bundle, mirror.docker_name(IMAGE), "docker", Engine())


@pytest.mark.parametrize(
    ("manifest", "kind"),
    [
        ({"manifests": []}, "application/vnd.oci.image.index.v1+json"),
        ({"layers": []}, "application/vnd.oci.image.manifest.v1+json"),
        ({"mediaType": "application/x"}, "application/x"),
    ],
)
def test_a_manifest_says_what_it_is(manifest, kind):
    assert mirror.media_type(json.dumps(manifest).encode()) == kind


@pytest.mark.parametrize("text", [b"", b"[]", b"\x00"])
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(HostError, match="no manifest"):
        mirror.media_type(text)
