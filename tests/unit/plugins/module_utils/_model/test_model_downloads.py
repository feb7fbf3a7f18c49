# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads speak as the hub's own client does: tokens and redirects, limits, retries, compression."""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import json
import re
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._model import transfer as transfer_module
from ansible_collections.mlops.hosts.plugins.module_utils._model.patience import (
    Patience,
    asked_wait,
    limit_words,
    passes,
)

TOKEN = "hf_a-token-that-must-not-be-seen"
NOW = 1_795_860_000.0  # Sat, 28 Nov 2026 10:00:00 GMT
BUSY = {"status": 429, "headers": {"Retry-After": "7"}}


def faulty(hub, **fields):
    hub.faults = type(hub.faults)(**fields)


def plain(bench, served, name="tiny.gguf"):
    sha256 = hashlib.sha256((served / "plain" / name).read_bytes()).hexdigest()
    return {"name": "tiny", "source": f"{bench.hub.url}/plain/{name}", "sha256": sha256}


# Tokens and redirects


def test_a_gated_repository_that_was_renamed_gets_the_token(bench, hub):
    hub.token, hub.gated, hub.moved = TOKEN, {"acme/chat"}, {"acme/old": "acme/chat"}
    for name, address in (("relative", ""), ("absolute", hub.url)):
        hub.moved_to = address
        result = bench({**bench.chat(), "name": name, "source": "hf://acme/old"}, token=TOKEN)
        assert len(result["artifacts"][0]["files"]) == 4
    assert {one.path.split("/")[1]: one.authorized for one in hub.asked} == {"api": True, "acme": True, "cdn": False}


def test_a_file_that_the_hub_keeps_elsewhere_on_its_own_host_gets_the_token(bench, hub):
    hub.token, hub.gated = TOKEN, {"acme/chat"}
    bench(bench.chat(files=[{"path": "config.json"}]), token=TOKEN)
    assert [one.authorized for one in hub.asked if one.path.startswith("/api/resolve-cache/")] == [True, True]


@pytest.mark.parametrize("gated", [False, True])
def test_a_hub_that_has_moved_to_another_host_is_named_and_the_token_is_not_blamed(bench, hub, gated):
    hub.token, hub.gated = TOKEN, {"acme/chat"} if gated else set()
    hub.moved, hub.moved_to = {"acme/old": "acme/gone" if not gated else "acme/chat"}, hub.cdn
    with pytest.raises(HostError) as caught:
        bench({**bench.chat(), "source": "hf://acme/old"}, token=TOKEN)
    said = str(caught.value)
    assert f"a redirect led to {hub.cdn}" in said and "the token is not sent to another host" in said
    assert "set its address as endpoint" in said and "the token that was given" not in said and TOKEN not in said
    assert not any(one.authorized for one in hub.asked if one.host.startswith("localhost"))


def test_files_that_the_hub_also_offers_by_xet_come_by_its_plain_redirect(bench, hub, served):
    """The hub's own client would ask for a token of Xet, and for the content in pieces by that."""
    hub.xet, hub.token, hub.gated = True, TOKEN, {"acme/chat"}
    assert len(bench(bench.chat(), token=TOKEN)["artifacts"][0]["files"]) == 4
    hub.asked.clear()
    faulty(hub, cut_after=200_000, times=2)  # HEAD, and the first attempt
    artifact = bench(bench.chat("next", files=[{"path": "model.gguf"}]), token=TOKEN)["artifacts"][0]
    (model,) = artifact["files"]
    there = (served / "models" / "acme" / "chat" / "next" / "model.gguf").read_bytes()
    with open(model["absolute_path"], "rb") as file:
        assert file.read() == there
    asked = [one for one in hub.asked if one.path == f"/cdn/{model['sha256']}" and one.method == "GET"]
    assert [(one.range, one.authorized) for one in asked] == [(None, False), ("bytes=200000-", False)]
    assert [one.path for one in hub.asked if "xet" in one.path] == []


def test_the_fake_offers_xet_as_the_hub_does(bench, hub):
    """With what the hub's own client looks for, constants.py and utils/_xet.py of huggingface_hub 2.4.0."""
    hub.xet = True
    at = f"/acme/chat/resolve/{bench.commits['main']}"
    seen = {}
    for name in ("model.gguf", "config.json"):
        connection = http.client.HTTPConnection("127.0.0.1", hub.server_address[1])
        connection.request("HEAD", f"{at}/{name}")
        seen[name] = connection.getresponse()
        connection.close()
    large, small = seen["model.gguf"], seen["config.json"]
    assert large.status == 302 and re.fullmatch("[0-9a-f]{64}", large.headers["X-Xet-Hash"])
    assert large.headers["X-Xet-Hash"] != large.headers["X-Linked-Etag"].strip('"')
    assert re.search(r'<http://\S+/xet-read-token/\S+>; rel="xet-auth"', large.headers["Link"])
    assert small.status == 307 and "X-Xet-Hash" not in small.headers


# Limits


@pytest.mark.parametrize("api", [True, False])
@pytest.mark.parametrize(
    ("status", "headers", "waited"),
    [
        pytest.param(429, {"Retry-After": "7"}, 7, id="seconds"),
        pytest.param(503, {"Retry-After": "120"}, 120, id="more-than-a-minute"),
        pytest.param(
            429,
            {"Retry-After": "Sat, 28 Nov 2099 10:00:30 GMT", "Date": "Sat, 28 Nov 2099 10:00:00 GMT"},
            30,
            id="date",
        ),
        pytest.param(
            429,
            {"RateLimit": '"api";r=0;t=55', "RateLimit-Policy": '"fixed window";"api";q=500;w=300', "Retry-After": "1"},
            56,
            id="ratelimit",
        ),
        pytest.param(429, {}, None, id="says-nothing"),
    ],
)
def test_a_wait_that_a_source_asks_for_is_respected_and_told(bench, hub, status, headers, waited, api):
    faulty(hub, status=status, headers=headers, times=1, api=api)
    assert bench(bench.chat(files=[{"path": "model.gguf"}]))["changed"]
    assert sum(bench.slept) == (waited or 1)
    limit = "limit: 500 requests in 300 s" if "RateLimit" in headers else ""
    told = "".join(bench.told)
    assert (f"{hub.url} asked to wait {waited} s" in told and f"answer was {status}" in told) is (waited is not None)
    assert limit in told


@pytest.mark.parametrize("api", [True, False])
def test_a_wait_that_is_too_long_is_refused_with_what_was_said(bench, hub, api):
    faulty(hub, status=429, headers={"Retry-After": "3600"}, api=api)
    with pytest.raises(HostError, match=rf"chat: {hub.url} asks to wait 3600 s: the answer was 429 .*\(max_wait_s\)"):
        bench(bench.chat(files=[{"path": "model.gguf"}]))
    assert bench.slept == [] and bench.told == []


def test_all_waits_of_a_run_have_one_bound(bench, hub):
    faulty(hub, status=429, headers={"Retry-After": "200"})
    with pytest.raises(HostError, match="600 s at most .* 600 s were waited for already"):
        bench(bench.chat(files=[{"path": "model.gguf"}]), retries=1000)
    assert sum(bench.slept) == 600


def test_the_limit_is_told_when_it_is_not_tried_again(bench, hub):
    faulty(hub, status=429, headers={"Retry-After": "soon", "RateLimit-Policy": '"api";q=500;w=300'}, api=True)
    with pytest.raises(HostError, match=r"answer was 429 \(limit: 500 requests in 300 s, Retry-After: soon\)"):
        bench(bench.chat(), retries=0)


def test_threads_that_are_limited_at_once_wait_once():
    slept, clock = [], [0.0]
    barrier = threading.Barrier(4)
    told = []

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds

    patience = Patience(
        retries=5, max_wait_s=10, clock=lambda: clock[0], now=lambda: NOW, sleep=sleep, tell=told.append
    )

    class Answer:
        status, headers = 429, {"retry-after": "8"}

    def one(_number):
        barrier.wait()
        patience.after("https://hub/a", 1, name="chat", answer=Answer)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    patience.before("https://hub/b")
    patience.before("https://cdn/b")
    assert slept == [8.0] and len(told) == 1


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": " 12 "}, 12),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Sat, 28 Nov 2026 10:01:00 GMT"}, 60),
        ({"retry-after": "Saturday, 28-Nov-26 10:01:00 GMT"}, 60),
        ({"retry-after": "Sat, 28 Nov 2026 09:00:00 GMT"}, 0),
        ({"retry-after": "Sat, 28 Nov 2026 12:01:00 GMT", "date": "Sat, 28 Nov 2026 12:00:00 GMT"}, 60),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "in a minute"}, None),
        ({"retry-after": ""}, None),
        ({"ratelimit": '"api";r=0;t=55'}, 56),
        ({"ratelimit": '"api";t=55;r=0'}, 56),
        ({"ratelimit": '"a";r=0;t=5, "b"; r=0; t=50, "c";r=1;t=500'}, 51),
        ({"ratelimit": '"api";r=3;t=55', "retry-after": "2"}, 2),
        ({"ratelimit": '"api";r=0', "retry-after": "2"}, 2),
        ({"ratelimit": "nonsense"}, None),
        ({}, None),
    ],
)
def test_what_an_answer_says_of_waiting(headers, wait):
    assert asked_wait(429, headers, NOW) == wait
    if "retry-after" not in headers:
        assert asked_wait(503, headers, NOW) is None, "a limit is no reason for another answer than 429"


def test_a_header_that_is_long_does_not_fill_the_message():
    assert len(limit_words({"retry-after": "x" * 5000})) < 100


# Retries


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429}, {"status": 408}, {"status": 520}, {"hang_up": True}]
)
@pytest.mark.parametrize("api", [True, False])
def test_retries_are_for_questions_and_for_files(bench, hub, fault, api):
    faulty(hub, **fault, api=api, times=5)
    assert bench(bench.chat(files=[{"path": "model.gguf"}]), retries=5)["changed"]
    assert bench.slept == [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize("api", [True, False])
@pytest.mark.parametrize("fault", [{"status": 503}, {"hang_up": True}])
def test_without_retries_nothing_is_tried_again(bench, hub, fault, api):
    faulty(hub, **fault, api=api, times=1)
    with pytest.raises(HostError, match="chat: "):
        bench(bench.chat(files=[{"path": "model.gguf"}]), retries=0)
    assert bench.slept == []


def test_what_lasts_is_not_tried_again():
    assert [status for status in (404, 408, 425, 429, 500, 501, 502, 503, 504, 505, 520) if passes(status)] == [
        *(408, 425, 429, 500, 502, 503, 504, 520)
    ]


def test_a_certificate_that_is_not_accepted_is_not_tried_again(bench, served, tmp_path):
    import ssl

    from ansible_collections.mlops.hosts.plugins.module_utils import _http_plain

    def untrusted(*_args):
        raise ssl.SSLCertVerificationError("self-signed certificate")

    artifact = plain(bench, served)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_http_plain.urllib.request, "urlopen", untrusted)
        with pytest.raises(HostError, match="self-signed"):
            bench(artifact)
    assert bench.slept == []


class Impatient(list):
    def append(self, seconds):
        assert len(self) < 10, "it goes on for ever"
        super().append(seconds)


def test_a_download_that_starts_over_for_ever_ends(bench, hub, served, monkeypatch):
    """Each attempt brings much, then a part that does not fit makes it start over."""
    monkeypatch.setattr(transfer_module, "_PROGRESS", 1000)
    faulty(hub, coding="gzip", cut_after=20_000)
    bench.slept = Impatient()
    with pytest.raises(HostError, match="tried 4 times"):
        bench(plain(bench, served), retries=3)


# Compression that nobody asked for


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
def test_a_file_that_is_sent_compressed_is_stored_as_it_is(bench, hub, served, coding):
    faulty(hub, coding=coding)
    result = bench(bench.chat(), plain(bench, served))
    assert result["downloaded_bytes"] == sum(file["size_bytes"] for one in result["artifacts"] for file in one["files"])
    for name in ("model.gguf", "config.json"):
        got, want = bench.current() / name, served / "models/acme/chat/main" / name
        assert got.read_bytes() == want.read_bytes()
    assert (bench.current("tiny") / "tiny.gguf").read_bytes() == (served / "plain/tiny.gguf").read_bytes()
    assert {one.accepts for one in hub.asked} == {"identity"}


def test_a_list_that_is_sent_compressed_is_read(bench, hub):
    faulty(hub, coding="deflate", api=True)
    assert bench(bench.chat())["changed"]


def test_a_compressed_download_that_is_cut_starts_over_and_is_right(bench, hub, served):
    faulty(hub, coding="gzip", cut_after=20_000, times=3)  # HEAD, the first attempt, and a part of the compressed bytes
    bench(plain(bench, served))
    assert (bench.current("tiny") / "tiny.gguf").read_bytes() == (served / "plain/tiny.gguf").read_bytes()
    ranges = [one.range for one in hub.asked if one.method == "GET"]
    assert ranges[0] is None and ranges[1].startswith("bytes=") and ranges[2] is None


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_compression_that_cannot_be_read_is_refused_and_nothing_is_stored(bench, hub, served, coding):
    faulty(hub, coding=coding)
    with pytest.raises(HostError, match=f"Content-Encoding '{coding}', which cannot be read") as caught:
        bench(plain(bench, served))
    assert "the proxy in between" in str(caught.value)
    assert not (bench.path / "models" / "tiny").exists() and not [n for n in bench.blobs() if n.startswith("sha256")]


def test_the_result_of_a_limited_run_holds_no_secret(bench, hub):
    hub.token = TOKEN
    faulty(hub, **BUSY, times=1)
    assert TOKEN not in json.dumps([bench(bench.chat(), token=TOKEN), bench.told])


# Progress


def test_how_far_a_download_is_lies_in_the_store_meanwhile(bench, hub, monkeypatch):
    monkeypatch.setattr(transfer_module, "_NOTE_S", 0.01)
    noted = []

    class Waiting(list):
        """Until the next attempt, the progress is read as whoever waits would."""

        def append(self, seconds):
            super().append(seconds)
            while not noted or noted[-1]["bytes"] != 400_000:
                noted.append(json.loads((bench.path / ".progress").read_text()))

    bench.slept = Waiting()
    faulty(hub, cut_after=400_000, times=2)
    assert bench(bench.chat(files=[{"path": "model.gguf"}]))["changed"]
    assert noted[-1].pop("at_s") <= sum(bench.slept)
    assert noted[-1] == {"bytes": 400_000, "of_bytes": 700_000, "files": 0, "of_files": 1}


def test_nothing_is_left_of_it(bench, hub):
    bench(bench.chat())
    faulty(hub, wrong_content=True)
    with pytest.raises(HostError):
        bench(bench.chat("next"))
    assert sorted(path.name for path in bench.path.iterdir()) == [".lock", "blobs", "models"]


def test_a_download_that_is_too_large_for_one_question_is_told_and_not_begun(bench, hub):
    result = bench(bench.chat(), defer_above_mib=0)
    size = sum(file["size_bytes"] for file in result["artifacts"][0]["files"])
    assert result["deferred_bytes"] == size and result["downloaded_bytes"] == 0
    assert result["artifacts"] == bench(bench.chat(), dry_run=True)["artifacts"]
    assert not bench.path.exists()
    assert bench(bench.chat(), defer_above_mib=1)["downloaded_bytes"] == size, "one MiB is more than comes"
    assert not bench(bench.chat(), defer_above_mib=0)["changed"]
