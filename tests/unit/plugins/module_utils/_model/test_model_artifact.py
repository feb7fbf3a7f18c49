# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import os
import pathlib
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._holders import Holder
from ansible_collections.mlops.hosts.plugins.module_utils._lock import locked
from ansible_collections.mlops.hosts.plugins.module_utils._model import store as store_module
from ansible_collections.mlops.hosts.plugins.module_utils._model import transfer as transfer_module
from ansible_collections.mlops.hosts.plugins.module_utils._model.store import Ownership, Store

from .conftest import content as bytes_of
from .conftest import write

TOKEN = "hf_a-token-that-must-not-be-seen"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def faulty(hub, **fields):
    hub.faults = type(hub.faults)(**fields)


def refused(bench, *artifacts, **settings):
    """The sentence, after seeing that nothing was touched."""
    before = bench.tree()
    with pytest.raises(HostError) as caught:
        bench(*artifacts, **settings)
    assert bench.tree() == before
    return str(caught.value)


def actions(result):
    return [action["action"] for action in result["actions"]]


# A version is made


def test_a_fresh_store_gets_a_whole_version(bench, served):
    result = bench(bench.chat())
    artifact = result["artifacts"][0]
    version = bench.commits["main"]
    assert result["changed"] and artifact["changed"]
    assert artifact["version"] == version
    assert artifact["path"] == str(bench.path / "models" / "chat" / version)
    assert os.readlink(artifact["current"]) == version
    origin = served / "models" / "acme" / "chat" / "main"
    names = ["README.md", "config.json", "model.gguf", "tokenizer/vocab.txt"]
    assert [file["path"] for file in artifact["files"]] == names
    for file in artifact["files"]:
        there = pathlib.Path(file["absolute_path"])
        assert sha256(there) == sha256(origin / file["path"]) == file["sha256"]
        assert there.stat().st_size == file["size_bytes"]
        assert there.stat().st_ino == (bench.path / "blobs" / f"sha256-{file['sha256']}").stat().st_ino
    assert result["downloaded_bytes"] == sum(file["size_bytes"] for file in artifact["files"])
    assert {one for one in bench.blobs() if not one.startswith("sha256-")} == set()


def test_a_host_that_is_right_needs_no_network_and_reads_no_file(bench, hub, monkeypatch):
    first = bench(bench.chat())
    before, asked = bench.tree(), len(hub.asked)
    monkeypatch.setattr(store_module.Store, "digest", lambda *_args: pytest.fail("a file was hashed"))
    for dry_run in (False, True):
        second = bench(bench.chat(), dry_run=dry_run)
        assert not second["changed"]
        assert (second["actions"], second["drift"], second["downloaded_bytes"]) == ([], [], 0)
        assert second.keys() == first.keys()
        assert second["artifacts"][0]["files"] == first["artifacts"][0]["files"]
    assert bench.tree() == before
    assert len(hub.asked) == asked


def test_check_mode_touches_nothing_fetches_nothing_and_tells_the_truth(bench, hub):
    planned = bench(bench.chat(), dry_run=True)
    assert not bench.path.exists()
    assert [one.path for one in hub.asked if one.method == "GET" and "/api/" not in one.path] == []
    done = bench(bench.chat())
    assert planned["actions"] == done["actions"]
    assert planned["drift"] == done["drift"]
    assert planned["diff"] == done["diff"]
    assert planned["artifacts"][0]["path"] == done["artifacts"][0]["path"]
    assert planned.keys() == done.keys()
    assert planned["artifacts"][0].keys() == done["artifacts"][0].keys()


def test_a_new_revision_fetches_only_what_is_new_and_the_old_one_stays(bench, hub):
    old = bench(bench.chat())["artifacts"][0]
    new = bench(bench.chat("next"))
    fetched = [action["item"].split()[0] for action in new["actions"] if action["action"] == "fetch"]
    assert fetched == ["README.md", "model.gguf"]
    assert os.readlink(bench.current()) == bench.commits["next"]
    asked = len(hub.asked)
    back = bench(bench.chat())
    assert actions(back) == ["switch"]
    assert back["artifacts"][0]["files"] == old["files"]
    assert len(hub.asked) == asked, "going back needs no network"


def test_files_are_chosen_and_a_choice_is_a_version_of_its_own(bench):
    whole = bench(bench.chat())["artifacts"][0]
    chosen = bench(bench.chat(include=["*.json", "tokenizer/"], exclude=["tokenizer.*"]))
    assert [file["path"] for file in chosen["artifacts"][0]["files"]] == ["config.json", "tokenizer/vocab.txt"]
    assert chosen["artifacts"][0]["path"].startswith(whole["path"] + "-")
    assert chosen["downloaded_bytes"] == 0
    one = bench({**bench.chat(), "source": "hf://acme/chat/tokenizer/vocab.txt"})["artifacts"][0]
    assert [file["path"] for file in one["files"]] == ["tokenizer/vocab.txt"]


def test_plain_files_with_checksums(bench, hub, served):
    plain = served / "plain"
    files = [{"path": name, "sha256": sha256(plain / "set" / name)} for name in ("a.bin", "b/c.bin")]
    tiny = sha256(plain / "tiny.gguf")
    result = bench(
        {"name": "set", "source": f"{hub.url}/plain/set/", "files": files},
        {"name": "tiny", "source": f"{hub.url}/plain/tiny.gguf?X-Signature=secret", "sha256": tiny},
        {"name": "local", "source": f"file://{plain}/set", "files": files},
        {"name": "one", "source": f"file://{plain}/tiny.gguf", "sha256": tiny},
    )
    assert [file["sha256"] for file in result["artifacts"][0]["files"]] == [file["sha256"] for file in files]
    assert result["downloaded_bytes"] == 305_010, "contents that artefacts share are fetched once"
    assert "secret" not in json.dumps(result)
    assert bench.current("one").joinpath("tiny.gguf").stat().st_nlink == 3


def test_an_address_signed_for_get_is_asked_for_its_first_byte(bench, hub, served):
    faulty(hub, no_head=True)
    tiny = {"name": "tiny", "source": f"{hub.url}/plain/tiny.gguf?sig=x", "sha256": sha256(served / "plain/tiny.gguf")}
    planned = bench(tiny, dry_run=True)
    assert planned["artifacts"][0]["files"][0]["size_bytes"] == 300_000
    assert bench(tiny)["changed"]


# Refused before anything changes


def web(bench, served, contents, **more):
    """An artefact of plain files with their sums."""
    files = []
    for name, content in contents.items():
        write(served / "plain", {name: content})
        files.append({"path": name, "sha256": hashlib.sha256(content).hexdigest()})
    return {"name": "big", "source": f"{bench.hub.url}/plain/", "files": files, **more}


def test_a_model_in_several_files_comes_whole(bench, served):
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode()
    shards = {
        "sub/model.safetensors.index.json": index,
        "sub/model-1.safetensors": b"1",
        "sub/model-2.safetensors": b"2",
    }
    parts = {f"split-0000{one}-of-00002.gguf": b"GGUF" for one in (1, 2)}
    assert bench(web(bench, served, {**shards, **parts}))["changed"]
    assert not bench(web(bench, served, {**shards, **parts}))["changed"]


def test_a_shard_that_the_index_names_and_nobody_has_chosen_is_found_before_the_model_is_published(bench, served):
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode()
    with pytest.raises(HostError) as caught:
        bench(web(bench, served, {"model.safetensors.index.json": index, "model-1.safetensors": b"1"}))
    assert str(caught.value) == (
        "the files of big lack model-2.safetensors, which model.safetensors.index.json names; choose all parts of a "
        "model (files, include, exclude), or none; it was not published"
    )
    assert not bench.current("big").exists()


def test_a_part_of_a_split_model_that_nobody_has_chosen_is_found_before_the_first_byte(bench, served):
    said = refused(bench, web(bench, served, {"m-00002-of-00003.gguf": b"GGUF"}))
    assert "the files of big lack m-00001-of-00003.gguf and 1 more, which the other parts need" in said


def test_an_index_that_cannot_be_read_is_no_reason(bench, served):
    assert bench(web(bench, served, {"model.safetensors.index.json": b"[]"}))["changed"]


def test_a_branch_is_refused_with_its_commit(bench):
    said = refused(bench, {**bench.chat(), "revision": "main"})
    assert "'main'" in said and "can move" in said and f"points to {bench.commits['main']} now" in said
    said = refused(bench, {**bench.chat(), "revision": None})
    assert "needs a commit as revision" in said and bench.commits["main"] in said


def test_a_revision_with_a_slash_is_one_part_of_an_address_and_its_commit_comes(bench, hub, served):
    """As pull requests and converted data sets have them on the hub, which are branches as well."""
    write(
        served / "models" / "acme" / "chat" / "refs%2Fpr%2F1", {"config.json": b"{}", "model.gguf": bytes_of(6, 4_000)}
    )
    commit = bench.commits["refs/pr/1"]
    said = refused(bench, {**bench.chat(), "revision": "refs/pr/1"})
    assert "'refs/pr/1'" in said and f"points to {commit} now" in said
    assert bench(bench.chat("refs/pr/1"))["artifacts"][0]["version"] == commit
    assert sorted(os.listdir(bench.current())) == [".mlops-artifact.json", "config.json", "model.gguf"]
    said = refused(bench, {**bench.chat(), "revision": "refs/pr/2"})
    assert "acme/chat at refs/pr/2 does not exist at that revision" in said


SUM = {"sha256": "0" * 64, "revision": None}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param(
            {"revision": "0" * 40}, "does not exist at that revision: the answer was 404 Revision", id="revision"
        ),
        pytest.param({"source": "hf://acme/none"}, "is not there, or it is private", id="repository"),
        pytest.param({"source": "hf://acme/chat/none.gguf"}, "has no none.gguf", id="file"),
        pytest.param({"include": ["*.none"]}, "leave none of the 4 files", id="nothing-chosen"),
        pytest.param({"source": "gs://bucket/chat"}, "is not known; use hf://org/name", id="scheme"),
        pytest.param({"source": "hf://chat"}, "is not hf://org/name", id="no-organisation"),
        pytest.param({"source": "hf://acme/.."}, "is not hf://org/name", id="name-above"),
        pytest.param({"source": "hf://acme/chat/../x"}, "would not stay inside", id="file-above"),
        pytest.param({"source": "hf://acme/chat//x"}, "would not stay inside", id="file-of-no-folder"),
        pytest.param({"revision": "refs/../x"}, "the revision 'refs/../x' has '..' between", id="revision-above"),
        pytest.param({"source": "https://h/a/../x", **SUM}, "'https://h/a/../x' has '..' between", id="web-above"),
        pytest.param({"source": "https://h/a/%2e%2E?sig=s", **SUM}, "'https://h/a/%2e%2E' has '..'", id="web-escaped"),
        pytest.param({"source": "file:///srv/../x", **SUM}, "has '..' between its slashes", id="disk-above"),
        pytest.param({"source": "file:///srv//x", **SUM}, "has nothing between two of its slashes", id="disk-empty"),
        pytest.param({"name": "../chat"}, "cannot be the name of an artefact", id="name"),
        pytest.param(
            {"source": "https://u:p@h/x", "sha256": "0" * 64, "revision": None}, "give a token", id="password"
        ),
        pytest.param({"source": "https://h/x", "revision": None}, "needs files with path and sha256", id="no-checksum"),
        pytest.param(
            {"source": "https://h/x", "sha256": "0" * 64},
            "revision goes with hf://, s3://, oci:// only",
            id="revision-of-url",
        ),
        pytest.param({"files": [{"path": "a"}], "include": ["b"]}, "files is the whole choice", id="two-choices"),
        pytest.param({"files": [{"path": "../a"}]}, "would not stay inside", id="desired-path-outside"),
        pytest.param({"files": [{"path": "a"}, {"path": "a/b"}]}, "as a file and as a folder", id="not-a-tree"),
        pytest.param(
            {"files": [{"path": "model.gguf", "sha256": "0" * 64}]}, "hf://acme/chat has", id="checksum-of-hub"
        ),
        pytest.param({"files": [{"path": "model.gguf", "sha256": "0"}]}, "64 hexadecimal digits", id="checksum-form"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_sentence(bench, changes, sentence):
    assert sentence in refused(bench, {**bench.chat(), **changes})


def test_one_bad_artefact_keeps_the_others_from_being_published(bench):
    refused(bench, bench.chat(), {**bench.chat(), "name": "other", "revision": "0" * 40})
    refused(bench, bench.chat(), bench.chat("next"))  # the same name twice


def test_a_gated_repository(bench, hub):
    hub.gated, hub.token = {"acme/chat"}, TOKEN
    assert "gated: the answer was 401 GatedRepo" in refused(bench, bench.chat())
    assert "gated: the answer was 403 GatedRepo" in refused(bench, bench.chat(), token="another")
    assert bench(bench.chat(), token=TOKEN)["changed"]


def test_the_token_goes_to_the_hub_and_nowhere_else(bench, hub, served):
    hub.token = TOKEN
    result = bench(bench.chat(), token=TOKEN)
    hub.token = None
    bench(
        {"name": "tiny", "source": f"{hub.url}/plain/tiny.gguf", "sha256": sha256(served / "plain/tiny.gguf")},
        token=TOKEN,
    )
    sent = {one.path.split("/")[1]: one.authorized for one in hub.asked}
    assert sent == {"api": True, "acme": True, "cdn": False, "plain": False}
    assert any(one.host.startswith("localhost") for one in hub.asked), "the redirect went to another host"
    assert TOKEN not in json.dumps(result)
    assert TOKEN not in "".join(path.read_text() for path in bench.path.rglob(".mlops-artifact.json"))


@pytest.mark.parametrize(
    "name",
    ["../../etc/cron.d/x", "/etc/passwd", "a/../../b", "a//b", "a\\..\\b", "./a", "a\nb", "", ".mlops-artifact.json"],
)
def test_a_hub_that_names_a_path_outside_is_refused(bench, hub, name):
    faulty(hub, bad_names=(name,))
    assert "would not stay inside the artefact" in refused(bench, bench.chat())


def test_no_space_is_found_before_the_first_byte(bench, hub):
    bench.free = 1024 * 1024 * 1024 + 700_000
    said = refused(bench, bench.chat())
    assert "1025 MiB free and 1025 MiB are needed: 1 MiB to fetch and 1024 MiB that stay free" in said
    assert str(bench.path) in said
    assert refused(bench, bench.chat(), dry_run=True) == said
    assert bench(bench.chat(), reserve_mib=0)["changed"]
    bench.free = 0
    assert not bench(bench.chat())["changed"], "a host that is right needs no space"


def test_a_store_on_the_root_file_system_is_refused_when_told_so(bench):
    bench.mount = "/"
    assert "not on a mount of its own" in refused(bench, mount_required=True)
    assert not bench()["changed"]


def test_an_unreachable_source(bench, hub):
    url = hub.url
    artifact = {"name": "x", "source": "http://127.0.0.1:1/x.gguf?sig=secret", "sha256": "0" * 64}
    said = refused(bench, artifact, retries=2)
    assert "x: http://127.0.0.1:1/x.gguf cannot be reached" in said and "secret" not in said
    assert bench.slept == [1.0, 2.0], "it was asked three times"
    said = refused(bench, {**bench.chat(), "endpoint": "http://127.0.0.1:1", "revision": "main"})
    assert "cannot be looked up" in said
    assert "does not answer as a model hub" in refused(bench, {**bench.chat(), "endpoint": f"{url}/fake/commits?"})


# Downloads that go wrong


def test_a_cut_download_goes_on_where_it_was(bench, hub):
    faulty(hub, cut_after=400_000, times=1)
    only = bench.chat(files=[{"path": "model.gguf"}])
    # the first file answer is the HEAD of the check
    faulty(hub, cut_after=400_000, times=2)
    result = bench(only)
    assert result["downloaded_bytes"] == 700_000, "no byte was fetched twice"
    assert [one.range for one in hub.asked if one.path.startswith("/cdn/") and one.method == "GET"] == [
        None,
        "bytes=400000-",
    ]
    assert bench.slept == [1.0]


def test_what_came_is_kept_for_the_next_run(bench, hub):
    faulty(hub, cut_after=300_000)
    only = bench.chat(files=[{"path": "model.gguf"}])
    with pytest.raises(HostError, match=r"tried 2 times: .* after 600000 of 700000 bytes; 600000 bytes are kept"):
        bench(only, retries=1)
    assert not bench.current().exists()
    faulty(hub)
    bench.free = 1024 * 1024 * 1024 + 150_000  # room for the rest is enough
    assert bench(only)["downloaded_bytes"] == 100_000
    assert bench.blobs() == [f"sha256-{sha256(bench.current() / 'model.gguf')}"]


def test_a_server_that_ignores_the_range_is_read_from_the_start(bench, hub):
    faulty(hub, cut_after=300_000)
    only = bench.chat(files=[{"path": "model.gguf"}])
    with pytest.raises(HostError):
        bench(only, retries=0)
    faulty(hub, ignore_range=True)
    assert bench(only)["downloaded_bytes"] == 700_000


@pytest.mark.parametrize("fault", [{"wrong_range": True}, {"status": 503}, {"stall_after": 10, "stall_s": 1.5}])
def test_faults_that_pass_are_tried_again(bench, hub, served, fault):
    faulty(hub, cut_after=250_000)
    tiny = {"name": "tiny", "source": f"file://{served}/plain/tiny.gguf", "sha256": sha256(served / "plain/tiny.gguf")}
    over_http = {**tiny, "source": f"{hub.url}/plain/tiny.gguf"}
    with pytest.raises(HostError):
        bench(over_http, retries=0)
    faulty(hub, times=2, **fault)
    bench(over_http, timeout_s=1 if "stall_s" in fault else 30)
    assert sha256(bench.current("tiny") / "tiny.gguf") == tiny["sha256"]


def test_wrong_content_is_deleted_and_nothing_is_published(bench, hub, served):
    faulty(hub, wrong_content=True)
    want = sha256(served / "plain/tiny.gguf")
    with pytest.raises(HostError) as caught:
        bench({"name": "tiny", "source": f"{hub.url}/plain/tiny.gguf", "sha256": want})
    said = str(caught.value)
    assert f"tiny: tiny.gguf should have sha256 {want}, {hub.url}/plain/tiny.gguf sent " in said
    assert said.endswith("the download was deleted and no version was published")
    assert bench.blobs() == [] and not (bench.path / "models" / "tiny").exists()


def test_a_wrong_small_file_of_the_hub_is_noticed(bench, hub):
    faulty(hub, wrong_content=True)
    with pytest.raises(HostError, match="config.json should have git sha1"):
        bench(bench.chat(files=[{"path": "config.json"}]))


def test_more_bytes_than_announced_are_not_taken(bench, hub, served):
    path = served / "plain/tiny.gguf"
    faulty(hub, no_length=True)
    with pytest.raises(HostError, match="should have size 1000, .* sent"):
        bench(
            {
                "name": "t",
                "source": f"{hub.url}/plain/",
                "files": [{"path": "tiny.gguf", "sha256": sha256(path), "size": 1000}],
            }
        )
    assert bench.blobs() == []


def test_a_part_of_other_content_does_not_spoil_the_download(bench, hub, served):
    want = sha256(served / "plain/tiny.gguf")
    (bench.path / "blobs").mkdir(parents=True)
    (bench.path / "blobs" / f".partial-{want}").write_bytes(b"x" * 100_000)
    result = bench({"name": "tiny", "source": f"{hub.url}/plain/tiny.gguf", "sha256": want})
    assert result["downloaded_bytes"] == 200_000 + 300_000
    assert sha256(bench.current("tiny") / "tiny.gguf") == want


def test_content_that_changed_at_the_source_is_not_mixed(bench, hub, served):
    """The part belongs to another ETag: If-Range makes the server send the whole file."""
    want = sha256(served / "plain/tiny.gguf")
    (bench.path / "blobs").mkdir(parents=True)
    (bench.path / "blobs" / f".partial-{want}").write_bytes(b"x" * 100_000)
    (bench.path / "blobs" / f".partial-{want}.etag").write_text('"old"')
    result = bench({"name": "tiny", "source": f"{hub.url}/plain/tiny.gguf", "sha256": want})
    assert result["downloaded_bytes"] == 300_000


def test_a_disk_that_fills_up_is_told_and_freed(bench, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer_module._Part, "write", full)
    with pytest.raises(HostError, match="no space was left"):
        bench(bench.chat(files=[{"path": "model.gguf"}]))
    assert bench.blobs() == []


# The store over time


def test_absent_keeps_what_others_share(bench):
    bench(bench.chat(), {**bench.chat("next"), "name": "other"})
    gone = {"name": "chat", "state": "absent"}
    planned = bench(gone, dry_run=True)
    assert bench.current().exists()
    result = bench(gone)
    assert planned["actions"] == result["actions"]
    assert actions(result) == ["remove", "collect", "collect"]
    assert result["artifacts"][0] == {
        "name": "chat",
        "state": "absent",
        "source": None,
        "revision": None,
        "version": None,
        "path": None,
        "current": None,
        "files": [],
        "downloaded_bytes": 0,
        "changed": True,
    }
    assert not (bench.path / "models" / "chat").exists()
    assert len(bench.blobs()) == 4
    assert not bench({**bench.chat("next"), "name": "other"})["changed"]
    assert not bench(gone)["changed"]


def test_purge_takes_all_of_it(bench):
    bench(bench.chat(), {**bench.chat("next"), "name": "other"})
    (bench.path / "blobs" / ".partial-0").write_bytes(b"left")
    assert "artifacts must be empty" in refused(bench, bench.chat(), purge=True)
    planned = bench(purge=True, dry_run=True)
    result = bench(purge=True)
    assert planned["actions"] == result["actions"]
    assert actions(result) == ["remove", "remove", "drop", *["collect"] * 6, "dismantle"]
    assert os.listdir(bench.path) == []
    assert not bench(purge=True)["changed"]
    assert os.listdir(bench.path) == []


def test_versions_stay_until_keep_says_how_many(bench, hub, served):
    for number in (1, 2, 3):
        (served / "plain" / "tiny.gguf").write_bytes(b"%d" % number)
        (bench.path.parent / f"tick{number}").touch()  # the bench's clock
        tiny = {
            "name": "tiny",
            "source": f"file://{served}/plain/tiny.gguf",
            "sha256": sha256(served / "plain/tiny.gguf"),
        }
        bench(tiny)
    (bench.path / "blobs" / ".partial-0").write_bytes(b"left")
    bench(bench.chat())
    assert len(os.listdir(bench.path / "models" / "tiny")) == 4
    result = bench(tiny, keep=1)
    assert sorted(actions(result)) == ["collect", "drop", "remove"]
    contents = {path.read_bytes() for path in (bench.path / "models" / "tiny").glob("*/tiny.gguf")}
    assert contents == {b"2", b"3"}
    assert not bench(tiny, keep=1)["changed"]
    assert not bench(bench.chat())["changed"], "another artefact is left alone"


SERVER = Holder(812, "llama-server", "mlops-model-chat.service")


def test_the_version_that_a_server_runs_stays_for_its_way_back(bench):
    old = bench(bench.chat())["artifacts"][0]["path"]
    bench.holders = {old: (SERVER,)}
    result = bench(bench.chat("next"), keep=0)
    assert "remove" not in actions(result) and os.path.isdir(old)
    (told,) = set(bench.told)
    assert told.startswith("version ") and told.endswith(
        " of the model chat stays, since it is used by llama-server (pid 812, mlops-model-chat.service)"
    )
    assert not bench(bench.chat("next"), keep=0)["changed"]
    bench.holders = {}
    assert actions(bench(bench.chat("next"), keep=0)) == ["remove", "collect", "collect"]


@pytest.mark.parametrize("shape", ['{"path": "%s/model.gguf"}', '{"path": "%s"}'])
def test_the_version_that_a_rollback_goes_back_to_stays(bench, shape):
    old = bench(bench.chat())["artifacts"][0]["path"]
    bench.rollback = shape % old
    assert "remove" not in actions(bench(bench.chat("next"), keep=0)) and os.path.isdir(old)
    assert bench.told[-1].endswith(" of the model chat stays, since model_rollback goes back to it")
    bench.rollback = shape % f"{old}0"
    assert actions(bench(bench.chat("next"), keep=0)) == ["remove", "collect", "collect"]


# A version that the store has already


def stored(version, **more):
    return {"name": "chat", "source": f"store://{version}", **more}


def test_a_stored_version_is_current_again_and_nobody_is_asked(bench, hub):
    old = bench(bench.chat())["artifacts"][0]
    bench(bench.chat("next"))
    asked = len(hub.asked)
    planned = bench(stored(old["version"]), dry_run=True)
    back = bench(stored(old["version"]), keep=0)
    assert actions(planned) == ["switch"]
    assert actions(back)[:2] == ["switch", "remove"]
    assert os.readlink(bench.current()) == old["version"]
    assert back["artifacts"][0]["files"] == old["files"] and back["artifacts"][0]["path"] == old["path"]
    assert len(hub.asked) == asked
    # It is the version that its source would have: whoever desires that again finds a store that is right.
    assert actions(bench(bench.chat(), keep=0)) == []


def test_a_stored_version_that_is_not_there_is_refused(bench, hub):
    bench(bench.chat())
    said = refused(bench, stored("0123456789abcdef"))
    assert said == (
        "chat: the store should have version 0123456789abcdef already and has not: name the source that it comes from; "
        "nothing was changed"
    )


def test_a_stored_version_that_is_damaged_cannot_be_repaired_without_its_source(bench):
    found = bench(bench.chat())["artifacts"][0]
    (bench.path / "blobs" / f"sha256-{found['files'][1]['sha256']}").unlink()
    pathlib.Path(found["files"][1]["absolute_path"]).unlink()
    said = refused(bench, stored(found["version"]))
    assert f"chat: config.json of version {found['version']} is lost or damaged in the store" in said


@pytest.mark.parametrize("version", ["", "current", "../other", "a/b", ".new-1"])
def test_a_stored_version_is_named_as_its_folder(bench, version):
    bench(bench.chat())
    assert "needs the name of a version in the store, as in store://VERSION" in refused(bench, stored(version))


def test_a_stored_version_is_whole_so_no_choice_goes_with_it(bench):
    bench(bench.chat())
    said = refused(bench, stored("abc", include=["*.gguf"], revision="abc"))
    assert said == (
        "chat: store://abc is a whole version that the store has, so revision and include do not go with it"
    )


@pytest.mark.parametrize("way", ["absent", "purge"])
def test_a_model_is_not_removed_under_a_server(bench, way):
    bench(bench.chat())
    bench.holders = {str(bench.path / "models/chat"): (SERVER,)}
    before = bench.tree()
    going = ([{"name": "chat", "state": "absent"}], {}) if way == "absent" else ([], {"purge": True})
    said = refused(bench, *going[0], **going[1])
    assert "is used by llama-server (pid 812, mlops-model-chat.service); stop that first" in said
    assert bench.tree() == before
    # What stops the server may come earlier in the same run.
    assert "remove" in actions(bench(*going[0], dry_run=True, **going[1]))
    assert "can be removed when that has ended" in bench.told[-1]
    bench.holders = {}
    assert "remove" in actions(bench(*going[0], **going[1]))


def spoil(path):
    """Another byte in the same place at the same time, as a bad disk does it."""
    seen = path.stat()
    with open(path, "r+b") as file:
        file.write(b"\xff")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def test_verify_finds_and_repairs_what_is_damaged_in_every_version_that_shares_it(bench):
    bench(bench.chat("next"))
    first = bench(bench.chat())["artifacts"][0]
    for name in ("model.gguf", "tokenizer/vocab.txt"):
        spoil(bench.current() / name)
    assert not bench(bench.chat())["changed"], "without verify no file is read"
    planned = bench(bench.chat(), verify=True, dry_run=True)
    result = bench(bench.chat(), verify=True)
    assert planned["actions"] == result["actions"]
    assert actions(result) == ["fetch", "fetch", "repair", "repair", "repair"]
    for file in first["files"]:
        assert sha256(bench.current() / file["path"]) == file["sha256"]
    for branch in ("main", "next"):
        assert not bench(bench.chat(branch), verify=True)["changed"] or branch == "next"
        assert not bench(bench.chat(branch), verify=True)["changed"]


def test_a_file_that_was_removed_is_linked_again_without_network(bench, hub):
    bench(bench.chat())
    asked = len(hub.asked)
    (bench.current() / "model.gguf").unlink()
    (bench.current() / "tokenizer" / "vocab.txt").unlink()
    (bench.current() / "tokenizer").rmdir()
    assert actions(bench(bench.chat())) == ["repair", "repair"]
    (bench.path / "blobs" / f"sha256-{sha256(bench.current() / 'model.gguf')}").unlink()
    assert actions(bench(bench.chat())) == ["link"]
    assert not bench(bench.chat(), verify=True)["changed"]
    assert len(hub.asked) == asked


def test_a_touched_file_is_read_once_and_found_right(bench):
    bench(bench.chat())
    os.utime(bench.current() / "model.gguf")
    assert actions(bench(bench.chat())) == ["record"]
    assert not bench(bench.chat())["changed"]


def test_a_touched_file_with_other_content_is_replaced(bench):
    bench(bench.chat())
    want = sha256(bench.current() / "model.gguf")
    (bench.current() / "model.gguf").write_bytes(b"something else")
    assert actions(bench(bench.chat())) == ["fetch", "repair"]
    assert sha256(bench.current() / "model.gguf") == want


def test_a_folder_without_a_record_is_replaced(bench):
    result = bench(bench.chat())
    pathlib.Path(result["artifacts"][0]["path"], ".mlops-artifact.json").write_text("{")
    again = bench(bench.chat())
    assert actions(again)[-1] == "publish"
    assert again["downloaded_bytes"] < 2_000, "the model is still there, only git's checksums are not known any more"
    assert not bench(bench.chat())["changed"]


def test_a_checksum_that_differs_from_the_published_version_is_refused(bench):
    bench(bench.chat(files=[{"path": "config.json"}]))
    said = refused(bench, bench.chat(files=[{"path": "config.json", "sha256": "0" * 64}]))
    assert "config.json should have sha256 000" in said


def test_mode_is_kept_right(bench):
    bench.ownership = Ownership(mode=0o440)
    bench(bench.chat())
    modes = {oct(seen[0] & 0o777) for path, seen in bench.tree().items() if seen[4] is None and path != ".lock"}
    assert modes == {"0o440", "0o750"}
    assert not bench(bench.chat())["changed"]
    (bench.current() / "model.gguf").chmod(0o666)
    planned = bench(bench.chat(), dry_run=True)
    assert [row["attribute"] for row in planned["drift"]] == ["ownership"]
    assert bench(bench.chat())["artifacts"][0]["changed"]
    assert not bench(bench.chat())["changed"]


# Two runs


def test_a_second_run_names_the_holder(bench):
    bench.path.mkdir()
    with locked(str(bench.path), "model_artifact", wait_s=0, clock=lambda: 0, sleep=lambda _s: None):
        said = refused(bench, bench.chat(), lock_timeout_s=3)
    assert f"within 3 s: model_artifact, process {os.getpid()}" in said
    assert bench.slept == [1, 1, 1]
    assert bench(bench.chat())["changed"]


def test_a_lock_that_went_with_the_store_is_not_waited_for(bench):
    bench.path.mkdir()
    with locked(str(bench.path), "model_artifact", wait_s=0, clock=lambda: 0, sleep=lambda _s: None):
        (bench.path / ".lock").unlink()
        assert bench(bench.chat(), lock_timeout_s=0)["changed"]


def test_two_runs_at_once_fetch_once(bench):
    results = []
    runs = [threading.Thread(target=lambda: results.append(bench(bench.chat(), lock_timeout_s=10**9))) for _ in "ab"]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(bool(result["downloaded_bytes"]) for result in results) == [False, True]


# Killed


class Killed(BaseException):
    """Not an error that anything catches."""


STEPS = ("link", "rename", "replace", "symlink", "unlink", "mkdir", "rmdir", "chmod", "fsync")


def dies_at(monkeypatch, step):
    """From the given system call on, nothing works any more. Gives the counter."""
    count = [0]

    def wrap(real):
        def call(*args, **kwargs):
            count[0] += 1
            if count[0] >= step:
                raise Killed
            return real(*args, **kwargs)

        return call

    for name in STEPS:
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))
    return count


def whole(bench):
    """See that every version that can be seen has all its files with the right content. Gives what current holds."""
    for record in Store(str(bench.path), Ownership()).read().records:
        top = bench.path / "models" / record.name / record.version
        for kept in record.files:
            assert sha256(top / kept.path) == kept.sha256
    return (bench.current() / "a.txt").read_bytes() if os.path.lexists(bench.current()) else None


def local(folder, **more):
    files = [{"path": one.name, "sha256": sha256(one)} for one in sorted(folder.iterdir())]
    return {"name": "chat", "source": f"file://{folder}", "files": files, **more}


def upgrade(bench, old, new):
    bench(local(old), local(old, name="gone"))
    return [local(new), {"name": "gone", "state": "absent"}], {b"old", b"new"}, b"new"


def first(bench, old, new):
    return [local(new)], {None, b"new"}, b"new"


def repair(bench, old, new):
    bench(local(old), local(old, name="other"))
    (bench.current() / "shared.txt").unlink()
    spoil(bench.current() / "b.txt")
    os.utime(bench.current() / "b.txt")
    return [local(old), local(old, name="other")], {b"old"}, b"old"


@pytest.mark.parametrize("scene", [first, upgrade, repair])
def test_killed_at_any_step_leaves_old_or_new_and_the_next_run_finishes(bench, tmp_path, scene):
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, {"a.txt": b"old", "b.txt": b"of old", "shared.txt": b"of both"})
    write(new, {"a.txt": b"new", "c.txt": b"of new", "shared.txt": b"of both"})
    step = survived = 0
    while not survived:
        step += 1
        bench.path = tmp_path / f"store-{step}"
        desired, allowed, final = scene(bench, old, new)
        with pytest.MonkeyPatch.context() as patch:
            dies_at(patch, step)
            try:
                bench(*desired, keep=0, parallel=1)
                survived = True
            except Killed:
                pass
        if scene is not repair:
            assert whole(bench) in allowed, step
        bench(*desired, keep=0)
        assert whole(bench) == final, step
        again = bench(*desired, keep=0, verify=True)
        assert again["actions"] == [], step
        assert not [name for name in bench.blobs() if name.startswith(".")], step
    assert step > 15
