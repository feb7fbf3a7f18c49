# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host finds of a mirror, which is a real web server on loopback."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.manifest import Entry
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.reach import problems
from ansible_collections.mlops.hosts.plugins.module_utils._http_plain import PlainFetch

FILES = {"apt/x/InRelease": b"index", "apt/x/pool/a+b~1.deb": b"package"}


@pytest.fixture
def mirror(tmp_path):
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", tmp_path
    server.shutdown()
    server.server_close()


def entries():
    kinds = {"apt/x/InRelease": "file", "apt/x/pool/a+b~1.deb": "apt"}
    return [
        Entry(kinds[path], "it", "1", "", "", path, hashlib.sha256(data).hexdigest(), len(data), "", ("x",))
        for path, data in FILES.items()
    ]


def test_a_whole_mirror_has_no_problems(mirror):
    assert problems(mirror[0], entries(), PlainFetch()) == []


def test_a_file_that_is_missing_is_named(mirror):
    (mirror[1] / "apt/x/pool/a+b~1.deb").unlink()
    (sentence,) = problems(mirror[0], entries(), PlainFetch())
    assert sentence.endswith("/apt/x/pool/a%2Bb~1.deb (apt it) has status 404; copy the whole bundle to the mirror")


def test_a_file_that_is_cut_short_is_named(mirror):
    (mirror[1] / "apt/x/pool/a+b~1.deb").write_bytes(b"pack")
    (sentence,) = problems(mirror[0], entries(), PlainFetch())
    assert "has 4 bytes, and 7 in the manifest" in sentence


def test_an_index_of_another_bundle_is_named_though_its_size_is_right(mirror):
    (mirror[1] / "apt/x/InRelease").write_bytes(b"other")
    (sentence,) = problems(mirror[0], entries(), PlainFetch())
    assert "is not what the manifest says" in sentence


def test_a_mirror_that_does_not_answer_is_one_sentence():
    (sentence,) = problems("http://127.0.0.1:9", entries() * 50, PlainFetch())
    assert sentence.startswith("the mirror does not answer: ") and "mlops_hosts_mirror" in sentence


def test_a_host_that_needs_nothing_asks_for_nothing():
    assert problems("http://127.0.0.1:9", [], PlainFetch()) == []
