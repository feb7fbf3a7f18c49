# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models and wheels as static files, read back by what reads a hub and by names of packages."""

from __future__ import annotations

import hashlib
import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._bundle import models, wheels
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError

COMMIT = "c" * 40


@pytest.fixture
def store(tmp_path):
    (tmp_path / "blob").write_bytes(b"weights")
    (tmp_path / "version/docs").mkdir(parents=True)
    (tmp_path / "version/model.gguf").symlink_to(tmp_path / "blob")
    (tmp_path / "version/docs/a.txt").write_text("a")
    (tmp_path / "version/.mlops-version.json").write_text("{}")
    return tmp_path


def test_files_of_a_hub_are_where_it_is_asked_for_them(store, tmp_path):
    model = {"name": "chat", "source": "hf://acme/tiny", "revision": COMMIT, "sha256": None}
    found, new = models.entries(model, f"{store}/version", f"{tmp_path}/out")
    assert new == 2 and {one.path for one in found} == {
        f"hub/acme/tiny/resolve/{COMMIT}/docs/a.txt",
        f"hub/acme/tiny/resolve/{COMMIT}/model.gguf",
    }
    assert models.entries(model, f"{store}/version", f"{tmp_path}/out")[1] == 0


def test_a_hubs_answer_has_checksums_and_all_files_of_the_bundle(store, tmp_path):
    model = {"name": "chat", "source": "hf://acme/tiny/model.gguf", "revision": COMMIT, "sha256": None}
    found, _new = models.entries(model, f"{store}/version", f"{tmp_path}/out")
    entry = models.listing(model["source"], COMMIT, found, f"{tmp_path}/out")
    assert entry.path == f"hub/api/models/acme/tiny/revision/{COMMIT}"
    told = json.loads((tmp_path / "out" / entry.path).read_text())
    assert told["sha"] == COMMIT
    (weights,) = (one for one in told["siblings"] if one["rfilename"] == "model.gguf")
    assert weights["lfs"] == {"sha256": hashlib.sha256(b"weights").hexdigest(), "size": 7}
    assert weights["blobId"] == hashlib.sha1(b"blob 7\0weights").hexdigest()


def test_a_file_of_a_web_server_keeps_its_host_and_path(store, tmp_path):
    model = {
        "name": "one",
        "source": "https://x.example:8443/a%20b/model.gguf?sig=1",
        "revision": None,
        "sha256": "0" * 64,
    }
    (store / "version/docs/a.txt").unlink()
    ((entry,), _new) = models.entries(model, f"{store}/version", f"{tmp_path}/out")
    assert entry.path == "web/x.example:8443/a b/model.gguf"


@pytest.mark.parametrize("source", ["s3://bucket/folder", "oci://registry/name", "file:///srv/models"])
def test_what_no_static_file_can_be_is_refused(source):
    assert not models.is_mirrored(source)
    with pytest.raises(HostError, match="cannot be in a bundle"):
        models.place(source, None)


@pytest.mark.parametrize(
    ("file", "identity"),
    [
        ("vllm-0.23.0-cp38-abi3-manylinux1_x86_64.whl", ("vllm", "0.23.0")),
        ("typing_extensions-4.15.0-py3-none-any.whl", ("typing-extensions", "4.15.0")),
        ("torch-2.9.0+cpu-1-cp313-cp313-linux_x86_64.whl", ("torch", "2.9.0+cpu")),
        ("ruamel.yaml-0.18.tar.gz", ("ruamel-yaml", "0.18")),
    ],
)
def test_names_of_files_say_what_they_are(file, identity):
    assert wheels.identity(file) == identity


def test_a_file_that_is_no_package_is_refused():
    with pytest.raises(HostError, match="neither a wheel nor a source archive"):
        wheels.identity("README.md")


def test_an_index_has_links_with_checksums(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/words-1.0-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "files/old-1.0-py3-none-any.whl").write_bytes(b"of another set")
    sha256 = hashlib.sha256(b"wheel").hexdigest()
    item = {"name": "env", "requirements": f"words==1.0 --hash=sha256:{sha256}\n"}
    found, new = wheels.entries(item, str(tmp_path), f"{tmp_path}/out")
    assert new == 1
    (page,) = wheels.index(found, f"{tmp_path}/out")
    text = (tmp_path / "out" / page.path).read_text()
    (link,) = [part.partition('"')[0] for part in text.split('href="')[1:]]
    path, _hash, fragment = link.partition("#")
    assert fragment == f"sha256={sha256}"
    assert (tmp_path / "out/wheels/simple/words" / path).read_bytes() == b"wheel"
