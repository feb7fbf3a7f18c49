# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets of S3: signatures, lists, checksums, redirects. The fake checks every signature by its own computation."""

from __future__ import annotations

import hashlib
import json
import sys

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._http import Response
from ansible_collections.mlops.hosts.plugins.module_utils._model.desired import parse
from ansible_collections.mlops.hosts.plugins.module_utils._model.s3 import _whole_sha256
from ansible_collections.mlops.hosts.plugins.module_utils._model.sigv4 import Credentials, signed_headers

from .conftest import ROOT, Bench, content, write

sys.path.append(str(ROOT / "tools" / "fakes"))
import fake_s3  # noqa: I001, E402

KEY = {"access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": "a-secret-key-that-must-not-be-seen"}
SESSION = "a-session-token-that-must-not-be-seen"
FILES = {
    "a b+ä&~.json": b"{}",
    "deep/er/vocab.txt": content(9, 900),
    "model.gguf": content(1, 300_000),
    "README.md": b"# chat\n",
}


@pytest.fixture
def store(tmp_path):
    root = tmp_path / "served"
    write(root / "models" / "chat", FILES)
    write(root / "models", {"chat-2/other": b"x", ".versions/v1/chat/README.md": b"# before\n"})
    (root / "models" / "chat" / "empty-folder").mkdir()
    keys = {KEY["access_key"]: KEY["secret_key"]}
    with fake_s3.Store(root, keys=keys, region="eu-central-1") as running:
        yield running


@pytest.fixture
def bench(tmp_path, store):
    return Bench(tmp_path / "store", store)


@pytest.fixture
def chat(store):
    def chat(**more):
        s3 = {"region": "eu-central-1", **KEY, **more.pop("s3", {})}
        return {"name": "chat", "source": "s3://models/chat", "endpoint": store.url, "s3": s3, **more}

    return chat


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def revision(names=FILES):
    """As it is documented: of the sorted paths and sums, as JSON without spaces."""
    return sha256(json.dumps(sorted([path, sha256(FILES[path])] for path in names), separators=(",", ":")).encode())


def refused(bench, *artifacts, **settings):
    before = bench.tree()
    with pytest.raises(HostError) as caught:
        bench(*artifacts, **settings)
    assert bench.tree() == before
    assert KEY["secret_key"] not in str(caught.value) and SESSION not in str(caught.value)
    return str(caught.value)


def faulty(store, **fields):
    store.faults = type(store.faults)(**fields)


# Signatures. The vectors are those of AWS: its test suite of version 4, and the examples of the S3 documentation.

SUITE = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "service", 1_440_938_160)
S3_DOCUMENTATION = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "s3", 1_369_353_600)
VECTORS = [
    pytest.param(
        SUITE,
        "https://example.amazonaws.com/",
        {},
        "host;x-amz-date",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        id="get-vanilla",
    ),
    pytest.param(
        SUITE,
        "https://example.amazonaws.com/?Param2=value2&Param1=value1",
        {},
        "host;x-amz-date",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        id="get-vanilla-query-order-key-case",
    ),
    pytest.param(
        SUITE,
        "https://example.amazonaws.com/%E1%88%B4",
        {},
        "host;x-amz-date",
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        id="get-utf8",
    ),
    pytest.param(
        S3_DOCUMENTATION,
        "https://examplebucket.s3.amazonaws.com/test.txt",
        {"Range": "bytes=0-9"},
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        id="s3-get-object",
    ),
    pytest.param(
        S3_DOCUMENTATION,
        "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
        {},
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        id="s3-list-objects",
    ),
    pytest.param(
        S3_DOCUMENTATION,
        "https://examplebucket.s3.amazonaws.com/?lifecycle",
        {},
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        id="s3-get-bucket-lifecycle",
    ),
]


@pytest.mark.parametrize(("who", "url", "headers", "names", "signature"), VECTORS)
def test_published_vectors(who, url, headers, names, signature):
    access_key, secret_key, service, now = who
    made = signed_headers(
        "GET", url, headers, Credentials(access_key, secret_key), region="us-east-1", now=now, service=service
    )
    day = made["X-Amz-Date"][:8]
    assert made["Authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{day}/us-east-1/{service}/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    # The fake's own computation, which the other tests are held to, gives the same.
    sent = {name.lower(): value for name, value in {**headers, **made, "Host": url.split("/")[2]}.items()}
    path, _mark, query = url.partition(sent["host"])[2].partition("?")
    query = "lifecycle=" if query == "lifecycle" else query
    scope = f"{day}/us-east-1/{service}/aws4_request"
    assert fake_s3.signature("GET", path, query, sent, names, secret_key, scope) == signature


def test_temporary_credentials_send_their_token_signed(bench, store, chat):
    store.session_token = SESSION
    assert "InvalidToken; the session token is not right" in refused(bench, chat())
    assert bench(chat(revision=revision(), s3={"session_token": SESSION}))["changed"]
    sent = {one.secrets for one in store.asked if one.path == "/models/chat/model.gguf"}
    assert ("authorization", "x-amz-security-token") in sent


@pytest.mark.parametrize(
    ("s3", "sentence"),
    [
        ({"secret_key": "another"}, "403 SignatureDoesNotMatch; the secret key is not that of the access key"),
        ({"access_key": "AKIAOTHER"}, "403 InvalidAccessKeyId; the store does not know the access key"),
        ({"access_key": None, "secret_key": None}, "403 AccessDenied; it needs credentials that may"),
    ],
)
@pytest.mark.parametrize("one_file", [True, False])
def test_credentials_that_are_not_right(bench, chat, s3, sentence, one_file):
    one = {"source": "s3://models/chat/model.gguf", "sha256": "0" * 64} if one_file else {}
    assert sentence in refused(bench, chat(s3=s3, **one))


# Lists


def test_a_folder_of_a_bucket_comes_whole_at_its_revision_and_then_nobody_is_asked(bench, store, chat):
    store.page = 2
    said = refused(bench, chat())
    assert "s3://models/chat needs a revision that cannot move" in said and f"which is {revision()} now" in said
    planned = bench(chat(revision=revision()), dry_run=True)
    result = bench(chat(revision=revision().upper()))
    assert planned["actions"] == result["actions"]
    (artifact,) = result["artifacts"]
    assert artifact["version"] == revision()[:16] and artifact["source"] == "s3://models/chat"
    assert {file["path"]: file["sha256"] for file in artifact["files"]} == {
        path: sha256(data) for path, data in FILES.items()
    }
    for path, data in FILES.items():
        assert (bench.current() / path).read_bytes() == data
    lists = [one for one in store.asked if one.path == "/models/" and "continuation-token" not in one.query]
    assert len([one for one in store.asked if one.path == "/models/"]) == 4 * len(lists), "four pages each"
    asked = len(store.asked)
    assert not bench(chat(revision=revision()))["changed"]
    assert len(store.asked) == asked
    shown = json.dumps([planned, result])
    assert KEY["secret_key"] not in shown and KEY["access_key"] not in shown


def test_the_same_files_named_with_their_sums_are_the_same_version_and_need_no_list(bench, store, chat):
    files = [{"path": path, "sha256": sha256(data)} for path, data in FILES.items()]
    result = bench(chat(files=files))
    assert result["artifacts"][0]["version"] == revision()[:16]
    assert not any(one.path == "/models/" for one in store.asked)
    assert not bench(chat(revision=revision()))["changed"]


def test_files_are_chosen(bench, chat):
    chosen = ["deep/er/vocab.txt", "model.gguf"]
    result = bench(chat(include=["*.gguf", "deep/"], revision=revision(chosen)))
    assert [file["path"] for file in result["artifacts"][0]["files"]] == chosen
    assert "include and exclude leave none of the 4 files" in refused(bench, chat(include=["none"], revision="0" * 64))


def test_a_bucket_that_has_moved_on_is_refused(bench, store, chat):
    old = revision()
    bench(chat(revision=old))
    (store.root / "models/chat/README.md").write_bytes(b"# changed\n")
    assert not bench(chat(revision=old))["changed"], "the version is there"
    other = {**chat(revision=old), "name": "other"}
    said = refused(bench, other)
    assert f"should have the revision {old}, and has " in said and said.endswith("no version was published")


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        pytest.param("<html>", "does not answer as a store that speaks S3", id="no-xml"),
        pytest.param("<Error/>", "does not answer as a store that speaks S3", id="other-xml"),
        pytest.param(
            '<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult>&a;</ListBucketResult>', "does not answer", id="entities"
        ),
        pytest.param(
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "goes on, and not how",
            id="no-token",
        ),
        pytest.param(
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
            "</ListBucketResult>",
            "goes on, and not how",
            id="for-ever",
        ),
        pytest.param(
            "<ListBucketResult><Contents><Key>chat/../../x</Key><Size>1</Size></Contents></ListBucketResult>",
            "would not stay inside the artefact",
            id="outside",
        ),
        pytest.param(
            "<ListBucketResult><Contents><Key>chat/a</Key></Contents><Contents><Key>chat/a/b</Key></Contents>"
            "</ListBucketResult>",
            "the source has no a at",
            id="no-tree",
        ),
    ],
)
def test_a_list_that_is_not_right(bench, store, chat, listed, sentence):
    store.list_of = listed
    assert sentence in refused(bench, chat())


# Checksums


def test_an_object_that_was_uploaded_in_parts_needs_a_sum_in_the_options(bench, store, chat):
    store.in_parts = {"chat/model.gguf"}
    said = refused(bench, chat(revision=revision()))
    assert "model.gguf of s3://models/chat has no sha256 of the whole object in its store; name it in files" in said
    files = [{"path": path} for path in FILES if path != "model.gguf"]
    files.append({"path": "model.gguf", "sha256": sha256(FILES["model.gguf"])})
    assert bench(chat(files=files, revision=revision()))["artifacts"][0]["version"] == revision()[:16]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        # put_object and a multipart upload of boto3 1.44.8 with ChecksumAlgorithm=SHA256, HEAD by moto 5.2.5
        ({"etag": '"9bc732959033ffa832804557f4c39cac"', "x-amz-checksum-sha256": "{}"}, True),
        ({"etag": '"045881d2be13de63b39f11bc7b9c3145-2"', "x-amz-checksum-sha256": "{}"}, False),
        ({"etag": '"045881d2be13de63b39f11bc7b9c3145-2"', "x-amz-checksum-sha256": "{}-2"}, False),
        ({"x-amz-checksum-type": "COMPOSITE", "x-amz-checksum-sha256": "{}-2"}, False),
        ({"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-sha256": "{}"}, True),
        ({"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-crc64nvme": "qUVqQ2bP1OQ="}, False),
        ({"x-amz-checksum-sha256": "not base64"}, False),
        ({"x-amz-checksum-sha256": "AAAA"}, False),
        ({"etag": '"99914b932bd37a50b983c5e7c90ae93b"'}, False),
    ],
)
def test_a_sum_of_sums_is_no_sum(headers, found):
    said = "PiE0vW3TNk99WLwLM2VXTIoJCM+HkodiMiiKLwebW0g="
    headers = {name: value.format(said) for name, value in headers.items()}
    assert _whole_sha256(headers) == (
        "3e2134bd6dd3364f7d58bc0b3365574c8a0908cf879287623228 8a2f079b5b48".replace(" ", "") if found else None
    )


def test_wrong_content_is_deleted_and_nothing_is_published(bench, store, chat):
    faulty(store, wrong_content=True)
    with pytest.raises(HostError, match="model.gguf should have sha256 .* no version was published"):
        bench(chat(revision=revision(["model.gguf"]), include=["model.gguf"]))
    assert bench.blobs() == [] and not bench.current().exists()


def test_an_earlier_version_of_an_object(bench, chat):
    one = {"path": "README.md", "sha256": sha256(b"# before\n"), "version_id": "v1"}
    bench(chat(files=[one]))
    assert (bench.current() / "README.md").read_bytes() == b"# before\n"
    gone = {**one, "version_id": "v2", "sha256": "0" * 64}
    assert "no README.md at" in refused(bench, chat(files=[gone]))


# Downloads


def test_a_cut_download_goes_on_with_if_match(bench, store, chat):
    faulty(store, cut_after=200_000)
    only = chat(source="s3://models/chat/model.gguf", sha256=sha256(FILES["model.gguf"]))
    with pytest.raises(HostError, match="200000 bytes are kept"):
        bench(only, retries=0)
    faulty(store)
    assert bench(only)["downloaded_bytes"] == 100_000
    last = store.asked[-1].headers
    assert (
        last["range"] == "bytes=200000-" and last["if-match"].strip('"') == hashlib.md5(FILES["model.gguf"]).hexdigest()
    )
    assert "if-range" not in last


def test_an_object_that_was_replaced_in_between_starts_over(bench, store, chat):
    faulty(store, cut_after=200_000)
    new = content(2, 300_000)
    only = chat(source="s3://models/chat/model.gguf", sha256=sha256(new))
    with pytest.raises(HostError, match="200000 bytes are kept"):
        bench(only, retries=0)
    faulty(store)
    (store.root / "models/chat/model.gguf").write_bytes(new)
    assert bench(only)["downloaded_bytes"] == 300_000
    assert (bench.current() / "model.gguf").read_bytes() == new


def test_slow_down_is_respected(bench, store, chat):
    slow = b"<Error><Code>SlowDown</Code></Error>"
    faulty(store, status=503, body=slow, headers={"Retry-After": "9"}, times=1)
    assert bench(chat(revision=revision()))["changed"]
    assert bench.slept == [9.0] and "asked to wait 9 s" in bench.told[0]
    faulty(store, status=503, body=slow, times=-1)
    assert "503 SlowDown" in refused(
        bench, {**chat(revision=revision()), "name": "other", "include": ["x*"]}, retries=1
    )


# Redirects and regions


def test_a_redirect_within_the_store_is_signed_anew(bench, store, chat):
    store.moved_to = {"models": f"{store.url}/in"}
    (store.root / "in").mkdir()
    (store.root / "in" / "models").symlink_to(store.root / "models")
    only = chat(source="s3://models/chat/model.gguf", sha256=sha256(FILES["model.gguf"]))
    assert bench(only)["changed"]
    assert [one.path for one in store.asked if one.secrets] == [
        *("/models/chat/model.gguf", "/in/models/chat/model.gguf") * 2
    ]


def test_another_host_gets_no_credentials(bench, store, chat, tmp_path):
    with fake_s3.Store(store.root) as other:
        store.moved_to = {"models": other.other_url}
        only = chat(source="s3://models/chat/model.gguf", sha256=sha256(FILES["model.gguf"]), s3={"session_token": "x"})
        assert bench(only)["changed"], "what anyone may read there is taken, by its sum"
        assert {one.secrets for one in other.asked} == {()}
        assert not any(name.startswith("x-amz-") for one in other.asked for name in one.headers)
        other.keys = store.keys
        said = refused(bench, {**only, "name": "other", "sha256": "0" * 64})
        assert f"a redirect led to {other.other_url}/models/chat/model.gguf" in said


def test_a_bucket_in_another_region_is_asked_again_with_that_region(bench, store, chat):
    bench(chat(revision=revision()))
    needed = len(store.asked)
    bench({"name": "chat", "state": "absent"})
    del store.asked[:]
    assert bench(chat(revision=revision(), s3={"region": "us-east-1"}))["changed"]
    assert len(store.asked) == needed + 1, "one refusal, which says the region"


def signer(endpoint, region="us-east-1", **options):
    source = parse(
        {
            "name": "x",
            "state": "present",
            "source": "s3://models",
            "endpoint": endpoint,
            "s3": {**KEY, "region": region, **options},
        },
        endpoint="",
        token=None,
    ).origin
    return source, source.access(lambda: 0.0)


AWS = "https://s3.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("endpoint", "url", "region"),
    [
        (AWS, "https://b.s3.us-east-1.amazonaws.com/x", "us-east-1"),
        (AWS, "https://b.s3.us-west-2.amazonaws.com/x", "us-west-2"),
        (AWS, "https://b.s3-us-west-2.amazonaws.com/x", "us-west-2"),
        (AWS, "https://b.s3.dualstack.eu-west-1.amazonaws.com/x", "eu-west-1"),
        (AWS, "https://s3.amazonaws.com/b/x", "us-east-1"),
        (AWS, "http://b.s3.us-west-2.amazonaws.com/x", None),
        (AWS, "https://b.s3-website-us-west-2.amazonaws.com/x", None),
        (AWS, "https://b.s3.us-west-2.amazonaws.com.evil.example/x", None),
        (AWS, "https://evil.example/x", None),
        ("https://minio.example:9000", "https://minio.example:9000/b/x", "us-east-1"),
        ("https://minio.example:9000", "https://b.minio.example:9000/x", "us-east-1"),
        ("https://minio.example:9000", "https://minio.example/b/x", None),
        ("https://minio.example:9000", "http://minio.example:9000/b/x", None),
        ("https://minio.example:9000", "https://evil-minio.example:9000/b/x", None),
        ("http://minio.example", "https://minio.example/b/x", "us-east-1"),
    ],
)
def test_who_gets_a_signature_and_for_which_region(endpoint, url, region):
    _source, access = signer(endpoint)
    made = access.sign("GET")(url)
    assert (made and made["Authorization"].split("/")[2]) == region


@pytest.mark.parametrize(
    ("url", "answer", "better"),
    [
        pytest.param(
            "https://b.s3.us-east-1.amazonaws.com/k?x=1",
            (301, {"x-amz-bucket-region": "eu-west-1"}),
            "https://b.s3.eu-west-1.amazonaws.com/k?x=1",
            id="aws",
        ),
        pytest.param("https://s3.amazonaws.com/b/k", (400, {"x-amz-bucket-region": "us-east-1"}), None, id="right"),
        pytest.param("https://s3.amazonaws.com/b/k", (403, {}), None, id="says-nothing"),
        pytest.param("https://s3.amazonaws.com/b/k", (301, {"x-amz-bucket-region": "evil.example/"}), None, id="odd"),
        pytest.param("https://s3.amazonaws.com/b/k", (200, {"x-amz-bucket-region": "eu-west-1"}), None, id="an-answer"),
    ],
)
def test_a_region_is_learnt(url, answer, better):
    status, headers = answer
    _source, access = signer(AWS)
    assert access.renewed(url, Response(status, headers, None), {}, None) == better


# Options


@pytest.mark.parametrize(
    ("endpoint", "addressing", "bucket", "url"),
    [
        (None, "auto", "models", "https://models.s3.eu-central-1.amazonaws.com/chat/a%20b%2B%C3%A4%26~.json"),
        (None, "auto", "my.models", "https://s3.eu-central-1.amazonaws.com/my.models/chat/a%20b%2B%C3%A4%26~.json"),
        (None, "path", "models", "https://s3.eu-central-1.amazonaws.com/models/chat/a%20b%2B%C3%A4%26~.json"),
        ("https://s3.example:9000/", "auto", "models", "https://s3.example:9000/models/chat/a%20b%2B%C3%A4%26~.json"),
        ("https://s3.example", "virtual", "models", "https://models.s3.example/chat/a%20b%2B%C3%A4%26~.json"),
    ],
)
def test_addresses(endpoint, addressing, bucket, url):
    artifact = parse(
        {
            "name": "x",
            "state": "present",
            "source": f"s3://{bucket}/chat/",
            "endpoint": endpoint,
            "s3": {"region": "eu-central-1", "addressing": addressing},
        },
        endpoint="https://huggingface.co",
        token=None,
    )
    assert artifact.origin.locate(artifact, "a b+ä&~.json", None) == url


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": "s3:///chat"}, "is not s3://bucket/prefix"),
        ({"source": "s3://models", "sha256": "0" * 64}, "is not s3://bucket/prefix"),
        ({"source": "s3://models/../chat"}, "'s3://models/../chat' has '..' between its slashes; write the path"),
        ({"source": "s3://models/./chat"}, "has '.' between its slashes"),
        ({"source": "s3://models//chat"}, "has nothing between two of its slashes"),
        ({"source": "s3://models/chat//"}, "has nothing between two of its slashes"),
        ({"source": "s3://models/chat/..", "sha256": "0" * 64}, "has '..' between its slashes"),
        ({"token": "x"}, "needs credentials in s3, and no token"),
        ({"s3": {"region": "EU Central"}}, "is no region"),
        ({"endpoint": "s3.example"}, "is no address of a store"),
        ({"revision": "main"}, "has the revision 'main' and needs a revision that cannot move"),
        ({"source": "https://h/x", "sha256": "0" * 64}, "s3 goes with s3:// only"),
    ],
)
def test_what_is_refused(bench, chat, changes, sentence):
    assert sentence in refused(bench, chat(**changes))


def test_only_what_is_sent_is_exposed():
    assert not signer("http://minio.example")[0].exposes_secret
    assert signer("http://minio.example", session_token=SESSION)[0].exposes_secret
    assert not signer("http://127.0.0.1", session_token=SESSION)[0].exposes_secret
    assert SESSION not in repr(signer(AWS, session_token=SESSION)[0]) and KEY["secret_key"] not in repr(signer(AWS)[0])
