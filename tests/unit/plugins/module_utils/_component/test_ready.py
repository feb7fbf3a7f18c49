# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import io
import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import ready
from ansible_collections.mlops.hosts.plugins.module_utils._http import Response
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

KEY = "sk-secret"
CHAT, INVOCATIONS = "/v1/chat/completions", "/invocations"
ANSWER = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}


class Server:
    """Answers on every path, to whom has the key, and on its open paths to anyone."""

    def __init__(self, *open_paths):
        self.open_paths, self.asked = open_paths, []

    @contextlib.contextmanager
    def fetch(self, url, *, headers, **_options):
        path = url.removeprefix("http://127.0.0.1:8001")
        self.asked.append(path)
        knows = headers.get("Authorization") == f"Bearer {KEY}" or path in self.open_paths
        document = json.dumps(ANSWER if knows else {"error": "Unauthorized"}).encode()
        yield Response(200 if knows else 401, {"content-type": "application/json"}, io.BytesIO(document))


@pytest.fixture
def wait(tmp_path):
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")

    def wait(server, **question):
        question = {"url": "http://127.0.0.1:8001", "model": "m", "api_key_file": str(key_file), **question}
        env = ready.RunEnvironment(run=None, fetch=server.fetch)
        return ready.wait([{"inference": question}], [], settle_s=0, env=env)

    return wait


@pytest.mark.parametrize(
    ("question", "proven"),
    [
        pytest.param({}, [CHAT], id="the-path-that-answered"),
        pytest.param({"closed_paths": [CHAT, INVOCATIONS]}, [CHAT, INVOCATIONS], id="named-paths"),
        pytest.param({"closed_paths": []}, [], id="none"),
    ],
)
def test_the_gate_proves_that_the_key_is_asked_for(wait, question, proven):
    server = Server()
    (report,) = wait(server, **question)
    assert report["stage"] == "answers"
    assert server.asked == [CHAT, *(path for path in proven for _how in ("no key", "wrong key"))]


def test_a_server_with_an_open_path_is_not_ready(wait):
    with pytest.raises(ready.NotReady, match="port 8001 does not refuse /invocations without an API key: 200 OK"):
        wait(Server(INVOCATIONS), closed_paths=[CHAT, INVOCATIONS])


def test_what_a_command_that_succeeds_warns_of_is_in_its_report():
    said = "program: version 1\nwarning: the sink is down\n"
    done = Completed(("check",), 0, "warning: on standard output\n", said)
    env = ready.RunEnvironment(run=lambda *_argv, **_more: done, fetch=None)
    (report,) = ready.wait([{"command": ["check"]}], [], settle_s=0, env=env)
    assert report["warnings"] == ["the sink is down"]


@pytest.mark.parametrize(
    ("digest", "answers"), [pytest.param("1a" * 32, True, id="its"), pytest.param("2b" * 32, False, id="another")]
)
def test_a_server_with_another_model_than_it_was_given_is_not_ready(tmp_path, digest, answers):
    class Ollama(Server):
        @contextlib.contextmanager
        def fetch(self, url, *, headers=(), **options):
            if url.endswith("/api/tags"):
                document = json.dumps({"models": [{"name": "m:latest", "digest": digest}]}).encode()
                yield Response(200, {"content-type": "application/json"}, io.BytesIO(document))
            else:
                with super().fetch(url, headers=headers, **options) as answer:
                    yield answer

    (tmp_path / "models").write_text(f"m:latest {'1a' * 6}\n")
    question = {"url": "http://127.0.0.1:8001", "model": "m", "models_file": str(tmp_path / "models")}
    env = ready.RunEnvironment(run=None, fetch=Ollama(CHAT).fetch)

    def wait():
        return ready.wait([{"inference": question}], [], settle_s=0, env=env)

    if answers:
        assert wait()[0]["stage"] == "answers"
        return
    with pytest.raises(
        ready.NotReady, match="was given m:latest 1a1a1a1a1a1a, and has m:latest 2b2b2b2b2b2b; let nobody"
    ):
        wait()
