# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of a model over time, against a fake of a server on loopback."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._exposition import Page
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics import probes, tell
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics.config import Probe
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics.families import FAMILIES
from ansible_collections.mlops.hosts.plugins.module_utils._http_plain import PlainFetch
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._inference.support import (
    CHAT,
    LOADING,
    Fake,
    piece,
    status,
    stream,
    usage,
)

REFUSES = r"\bI(?:'m| am) (?:sorry|unable)\b"


def answer(text, tokens=3):
    return stream(piece(text), piece(finish_reason="stop"), usage(tokens))


@pytest.fixture
def server():
    with Fake() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def prober(*asked, waits=None):
    waits = [] if waits is None else waits
    return probes.Prober(asked, fetch=PlainFetch(), wait=waits.append)


def told(found):
    page = Page(FAMILIES)
    tell.tell_probes(page, found)
    lines = (line.split(" ") for line in page.text().splitlines() if not line.startswith("#"))
    return {name.partition("{")[0].replace("mlops_model_probe", ""): float(value) for name, value in lines}


def test_a_model_that_answers(server, tmp_path):
    server.routes[CHAT], server.key = [answer("Hello, Paris")], "sk-1"
    (tmp_path / "key").write_text("sk-1\n")
    probe = Probe("chat", server.url, model="tiny", api_key_file=str(tmp_path / "key"), prompt="Where?", expect="Paris")
    found = prober(probe).read()
    shown = told(found)
    assert shown.items() >= {"_success": 1, "_expectation_held": 1, "_refused_total": 0, "s_total": 1}.items()
    assert shown["_duration_seconds"] >= shown["_first_token_seconds"] > 0
    # One request, and none that tries whether the key is needed.
    assert server.asked() == [CHAT]
    assert server.requests[0][1]["max_tokens"] == 16
    page = Page(FAMILIES)
    tell.tell_probes(page, found)
    assert 'mlops_model_probe_success{model_instance="chat",model="tiny"} 1\n' in page.text()


def test_an_answer_that_refuses_or_is_not_as_expected_is_an_answer(server):
    server.routes[CHAT] = [answer("i'm SORRY, no"), answer("Lyon"), answer("Paris")]
    asked = prober(Probe("chat", server.url, model="tiny", expect="Paris", refusal_pattern=REFUSES))
    seen = [told(asked.read()) for _time in range(3)]
    assert [one["_success"] for one in seen] == [1, 1, 1]
    assert [one["_refused_total"] for one in seen] == [1, 1, 1]
    assert [one["_expectation_held"] for one in seen] == [0, 0, 1]
    assert [one["s_total"] for one in seen] == [1, 2, 3]


def test_a_model_that_does_not_answer_has_no_times_and_is_told_of_once(server, capsys):
    server.routes[CHAT] = [LOADING]
    asked = prober(Probe("chat", server.url, model="tiny", expect="Paris"))
    asked.read()
    shown = told(asked.read())
    assert shown.keys() == {"_success", "_timestamp_seconds", "s_total", "_refused_total"}
    assert (shown["_success"], shown["s_total"]) == (0, 2)
    said = capsys.readouterr().err
    assert said.startswith("Probe of chat: ")
    assert said.count("\n") == 1


def test_a_key_that_cannot_be_read_is_no_answer(server, capsys):
    shown = told(prober(Probe("chat", server.url, api_key_file="/nowhere")).read())
    assert shown["_success"] == 0
    assert "the file with the API key, /nowhere, cannot be read" in capsys.readouterr().err
    assert server.asked() == []


def test_an_embedding_has_no_text_to_expect_or_to_refuse(server):
    server.routes["/v1/embeddings"] = [status(200, {"model": "tiny", "data": [{"embedding": [0.5, 1]}]})]
    shown = told(prober(Probe("vectors", server.url, kind="embedding", model="tiny")).read())
    assert shown.keys() == {"_success", "_timestamp_seconds", "s_total", "_duration_seconds"}


def test_each_is_asked_after_its_own_time(server, monkeypatch):
    server.routes[CHAT] = [answer("Hi")]
    now, waits = [0.0], []
    monkeypatch.setattr(probes.time, "monotonic", lambda: now[0])

    def wait(seconds):
        waits.append(seconds)
        now[0] += seconds

    slow, fast = Probe("slow", server.url, interval_s=100), Probe("fast", server.url, interval_s=30)
    asked = probes.Prober([slow, fast], fetch=PlainFetch(), wait=wait)
    for _time in range(6):
        found = asked.read()
    assert waits == [0, 0, 30, 30, 30, 10]
    assert {one.probe.model_instance: one.count for one in found} == {"slow": 2, "fast": 4}
    assert asked.patience_s == 100 + 240 + 10
