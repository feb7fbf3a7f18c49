# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Artefacts of OCI registries: tokens, manifests, names of files, redirects to object stores."""

from __future__ import annotations

import hashlib
import json
import sys

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._model.desired import parse

from .conftest import ROOT, Bench, content, write

sys.path.append(str(ROOT / "tools" / "fakes"))
import fake_registry  # noqa: E402

USERS = {"robot": "a-password-that-must-not-be-seen"}
FILES = {"model.gguf": content(1, 300_000), "config/tokenizer.json": b"{}", "README.md": b"# chat\n"}
REPO = "acme/chat"
TITLE = "org.opencontainers.image.title"


@pytest.fixture
def registry():
    with fake_registry.Registry() as running:
        running.digest = running.push(REPO, "v1", FILES)
        yield running


@pytest.fixture
def bench(tmp_path, registry):
    return Bench(tmp_path / "store", registry)


@pytest.fixture
def chat(registry):
    def chat(revision="", **more):
        source = f"oci://registry.example/{REPO}"
        revision = registry.digest if revision == "" else revision
        return {"name": "chat", "source": source, "revision": revision, "endpoint": registry.url, **more}

    return chat


def known(**more):
    return {"username": "robot", "token": USERS["robot"], **more}


def refused(bench, *artifacts, **settings):
    before = bench.tree()
    with pytest.raises(HostError) as caught:
        bench(*artifacts, **settings)
    assert bench.tree() == before
    said = str(caught.value)
    assert USERS["robot"] not in said and "a-token-of-the-fake" not in said
    return said


def faulty(registry, **fields):
    registry.faults = type(registry.faults)(**fields)


# Manifests


def test_an_artefact_comes_whole_at_its_digest_and_then_nobody_is_asked(bench, registry, chat):
    planned = bench(chat(), dry_run=True)
    result = bench(chat())
    assert planned["actions"] == result["actions"]
    (artifact,) = result["artifacts"]
    assert artifact["version"] == registry.digest.partition(":")[2] and artifact["revision"] == registry.digest
    assert artifact["source"] == f"oci://registry.example/{REPO}"
    for path, data in FILES.items():
        assert (bench.current() / path).read_bytes() == data
    asked = len(registry.asked)
    assert not bench(chat())["changed"]
    assert not bench({**chat(), "source": f"{chat()['source']}:v1@{registry.digest}", "revision": None})["changed"]
    assert len(registry.asked) == asked


@pytest.mark.parametrize("in_source", [True, False])
def test_a_tag_is_refused_with_its_digest(bench, registry, chat, in_source):
    one = chat(revision=None if in_source else "v1")
    one["source"] += ":v1" if in_source else ""
    said = refused(bench, one)
    assert f"'v1' of oci://registry.example/{REPO} is a tag, which can move; it points to {registry.digest} now" in said
    assert "needs a digest as revision; its tag latest" in refused(bench, registry_latest(registry, chat))
    down = {**one, "endpoint": "http://127.0.0.1:1"}
    assert "cannot be looked up, since http://127.0.0.1:1 does not answer" in refused(bench, down, retries=0)


def registry_latest(registry, chat):
    registry.push(REPO, "latest", FILES)
    return chat(revision=None)


def test_files_are_chosen(bench, registry, chat):
    result = bench(chat(include=["*.gguf", "config/"], exclude=["*.json"]))
    assert [file["path"] for file in result["artifacts"][0]["files"]] == ["model.gguf"]
    assert result["artifacts"][0]["version"].startswith(registry.digest.partition(":")[2] + "-")
    named = {"path": "model.gguf", "sha256": "0" * 64}
    assert f"oci://registry.example/{REPO} has {hashlib.sha256(FILES['model.gguf']).hexdigest()}" in refused(
        bench, {**chat(files=[named]), "name": "other"}
    )


def test_dockers_models_have_the_names_of_dockers_runner(bench, registry, chat):
    kinds = [("gguf.v3", b"a"), ("gguf.v3", b"b"), ("license", b"c"), ("mmproj", b"d"), ("chat.template.jinja", b"e")]
    layers = [registry.layer(data, f"application/vnd.docker.ai.{kind}") for kind, data in kinds]
    digest = registry.put(REPO, "docker", registry.manifest(layers))
    bench(chat(digest))
    names = ("model-00001-of-00002.gguf", "model-00002-of-00002.gguf", "LICENSE", "model.mmproj", "template.jinja")
    assert [(bench.current() / name).read_bytes() for name in names] == [data for _kind, data in kinds]


def test_names_of_oras_count_where_modelpack_has_none(bench, registry, chat):
    both = {TITLE: "blob", fake_registry.FILEPATH: "weights/model.bin"}
    layers = [registry.layer(b"a", "text/plain", **{TITLE: "notes.txt"}), registry.layer(b"b", "x/y", **both)]
    bench(chat(registry.put(REPO, "oras", registry.manifest(layers))))
    assert (bench.current() / "notes.txt").read_bytes() == b"a"
    assert (bench.current() / "weights/model.bin").read_bytes() == b"b"


def index(registry, *platforms):
    manifests = [
        {
            "mediaType": fake_registry.MANIFEST,
            "digest": registry.digest,
            "size": 1,
            **({"platform": one} if one else {}),
        }
        for one in platforms
    ]
    return registry.put(REPO, "index", {"schemaVersion": 2, "mediaType": fake_registry.INDEX, "manifests": manifests})


def test_the_manifest_of_an_index_that_is_for_all_platforms_is_taken(bench, registry, chat):
    digest = index(registry, None, {"os": "linux", "architecture": "amd64"})
    (artifact,) = bench(chat(digest))["artifacts"]
    assert artifact["version"] == digest.partition(":")[2] and len(artifact["files"]) == len(FILES)


def test_an_index_of_platforms_is_refused_with_what_it_has(bench, registry, chat):
    digest = index(registry, {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64"})
    said = refused(bench, chat(digest))
    assert "is an index, and 0 of its 2 manifests are for all platforms; write the digest of one as revision" in said
    assert f"{registry.digest} (linux/arm64)" in said
    assert "2 of its 2" in refused(bench, chat(index(registry, None, None)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mediaType": "application/vnd.cncf.model.weight.v1.tar"}, "lies packed in its registry"),
        ({"mediaType": "application/vnd.cncf.model.weight.v1.raw+zstd"}, "lies packed in its registry"),
        ({"annotations": {}}, "that has no file name; it is no artefact of files"),
        ({"annotations": {TITLE: "../../etc/cron.d/x"}}, "would not stay inside the artefact"),
        ({"annotations": {TITLE: "/etc/passwd"}}, "would not stay inside the artefact"),
        ({"annotations": {TITLE: "README.md"}}, "names the file README.md twice"),
        ({"annotations": {TITLE: "README.md/x"}}, "as a file and as a folder"),
        ({"digest": f"sha512:{'0' * 128}"}, "and only sha256 is known"),
        ({"digest": "../../x"}, "and only sha256 is known"),
    ],
)
def test_layers_that_cannot_be_files(bench, registry, chat, change, sentence):
    odd = registry.layer(b"a", fake_registry.WEIGHT, **{TITLE: "odd"})
    readme = registry.layer(b"b", "text/plain", **{TITLE: "README.md"})
    digest = registry.put(REPO, "odd", registry.manifest([readme, {**odd, **change}]))
    assert sentence in refused(bench, chat(digest))
    if "packed" in sentence:
        assert bench(chat(digest, exclude=["odd"]))["changed"]


@pytest.mark.parametrize("manifest", [{"layers": None}, {"layers": "x"}, {"layers": [1]}])
def test_what_is_no_artefact(bench, registry, chat, manifest):
    digest = registry.put(REPO, "odd", {"mediaType": fake_registry.MANIFEST, **manifest})
    assert "is no artefact with files: it has no layers" in refused(bench, chat(digest))


def test_a_registry_that_answers_another_manifest_is_not_believed(bench, registry, chat):
    other = registry.push(REPO, "v2", {"model.gguf": b"other"})
    registry.manifests[REPO, registry.digest] = registry.manifests[REPO, other]
    assert f"asked for {registry.digest}, {registry.url} answered {other}" in refused(bench, chat())
    registry.manifests[REPO, registry.digest] = (fake_registry.MANIFEST, b"no JSON")
    registry.digest = fake_registry.digest_of(b"no JSON")
    registry.manifests[REPO, registry.digest] = (fake_registry.MANIFEST, b"no JSON")
    assert "is no manifest" in refused(bench, chat())


def test_what_is_not_there(bench, chat):
    assert "is not there: the answer was 404 MANIFEST_UNKNOWN" in refused(bench, chat(f"sha256:{'0' * 64}"))


# Tokens


def test_a_token_is_asked_for_once_and_never_leaves_the_registry(bench, registry, chat):
    with fake_registry.Registry() as objects:
        objects.blobs = registry.blobs
        registry.users, registry.blobs_at = USERS, objects.url
        result = bench(chat(**known()))
        assert result["changed"] and registry.given == 1
        assert {one.secrets for one in objects.asked} == {()} and len(objects.asked) > len(FILES)
        assert any(one.query == "X-Signature=fake" for one in objects.asked)
    assert USERS["robot"] not in json.dumps(result) and "fake-1" not in json.dumps(result)


def test_a_token_that_runs_out_is_renewed(bench, registry, chat):
    registry.users = USERS
    tokens = registry.tokens = Fleeting()
    assert bench(chat(**known()), parallel=1)["changed"]
    assert registry.given > 2 and not tokens


class Fleeting(dict):
    """Tokens that are good for one request."""

    def get(self, key):
        return self.pop(key, None)


def test_anybody_gets_a_token_where_the_registry_wants_it_so(bench, registry, chat):
    registry.users, registry.anonymous = USERS, True
    assert bench(chat())["changed"] and registry.given == 1


def test_basic_authentication(bench, registry, chat):
    registry.users, registry.basic = USERS, True
    assert "UNAUTHORIZED; it needs username and token and none were given" in refused(bench, chat())
    assert "the token that was given may not read it" in refused(bench, chat(username="robot", token="no"))
    assert bench(chat(**known()))["changed"]


def test_a_token_that_is_one_already_is_sent_as_it_is(bench, registry, chat):
    registry.users, registry.tokens = USERS, {"ready": f"repository:{REPO}:pull"}
    assert "the token that was given may not read it" in refused(bench, chat(token="other"))
    assert bench(chat(token="ready"))["changed"] and registry.given == 0


def test_a_token_server_that_refuses_or_is_busy(bench, registry, chat):
    registry.users = USERS
    assert f"{registry.url} gives no token for it: the answer was 401" in refused(bench, chat())
    faulty(registry, status=503, times=2)
    assert bench(chat(**known()))["changed"] and bench.slept == [1.0, 2.0]
    faulty(registry, status=200, body=b"<html>")
    assert "does not answer as a token server does" in refused(
        bench, {**chat(**known(exclude=["x"])), "name": "other"}, retries=0
    )


def test_a_password_goes_to_no_token_server_without_https(bench, registry, chat, monkeypatch):
    registry.users = USERS
    source = parse(
        {"state": "present", **chat(**known()), "endpoint": "https://r.example"}, endpoint="", token=None
    ).origin
    access = source.access(lambda: 0.0)
    answer = type("Answer", (), {"status": 401, "withheld_from": "", "headers": {}})
    for realm in ("http://r.example/token", "file:///etc/passwd", ""):
        answer.headers = {"www-authenticate": f'Bearer realm="{realm}",service="fake"'}
        assert access.renewed("https://r.example/v2/x", answer, {}, lambda *_args: pytest.fail("it was asked")) is None
    assert "not sent unencrypted" in access.denied[True]


# Downloads


def test_a_cut_download_goes_on(bench, registry, chat):
    with fake_registry.Registry() as objects:
        objects.blobs, registry.blobs_at = registry.blobs, objects.url
        faulty(objects, cut_after=200_000)
        with pytest.raises(HostError, match="200000 bytes are kept"):
            bench(chat(include=["*.gguf"]), retries=0)
        faulty(objects)
        assert bench(chat(include=["*.gguf"]))["downloaded_bytes"] == 100_000
        assert [one.headers["range"] for one in objects.asked if "range" in one.headers] == ["bytes=200000-"]


@pytest.mark.parametrize("short", [True, False])
def test_a_blob_that_is_not_what_its_digest_says_is_refused(bench, registry, chat, short):
    """As distribution 2.8.2 sends what its disk has spoilt: with status 200 and the right digest in its headers."""
    sound = FILES["model.gguf"]
    registry.blobs[fake_registry.digest_of(sound)] = sound[:1000] if short else b"x" + sound[1:]
    with pytest.raises(HostError) as caught:
        bench(chat(), retries=0)
    assert ("after 1000 of 300000 bytes" if short else "should have sha256") in str(caught.value)
    assert not bench.current().exists() and not any(
        "sha256-" + fake_registry.digest_of(sound)[7:] in one for one in bench.blobs()
    )


# Options


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("oci://docker.io/ai/smollm2:latest", "https://registry-1.docker.io/v2/ai/smollm2"),
        ("oci://docker.io/busybox", "https://registry-1.docker.io/v2/library/busybox"),
        ("oci://ghcr.io/acme/models/chat", "https://ghcr.io/v2/acme/models/chat"),
        ("oci://127.0.0.1:5000/chat:v1", "https://127.0.0.1:5000/v2/chat"),
    ],
)
def test_addresses(source, address):
    assert (
        parse({"name": "x", "state": "present", "source": source}, endpoint="", token="hub").origin.address == address
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": "oci://chat"}, "is not oci://registry/name"),
        ({"source": "oci://r.example/Chat"}, "is not oci://registry/name"),
        ({"source": "oci://r.example/a/../b"}, "is not oci://registry/name"),
        ({"source": f"oci://r.example/chat@sha256:{'0' * 64}"}, "keep one"),
        ({"source": "oci://r.example/a//b"}, "is not oci://registry/name"),
        ({"revision": "../../v2/other"}, "is neither a tag nor a digest; write the digest of a manifest"),
        ({"username": "robot"}, "username needs token"),
        ({"sha256": "0" * 64}, "sha256 goes with a source that is one file"),
        ({"s3": {"region": "x"}}, "s3 goes with s3:// only"),
        ({"source": "hf://acme/chat", "username": "x", "token": "y"}, "username goes with oci:// only"),
    ],
)
def test_what_is_refused(bench, chat, changes, sentence):
    assert sentence in refused(bench, chat(**changes))


def test_the_fake_serves_a_directory(tmp_path, capsys):
    write(tmp_path / "acme/chat/v1", {"a/b.txt": b"x"})
    assert fake_registry.main([str(tmp_path), "--digests"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["acme/chat:v1"]
