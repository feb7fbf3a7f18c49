# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.server
import json
import threading

import pytest
import yaml
from ansible.module_utils import basic
from ansible_collections.mlops.hosts.plugins.modules import model_probe

KEY = "sk-secret"


class Fake(http.server.BaseHTTPRequestHandler):
    """A fake of a model server that wants a key."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        accepted = self.headers["Authorization"] == f"Bearer {KEY}"
        self.send_response(200 if accepted else 401)
        self.send_header("Content-Type", "text/event-stream" if accepted else "application/json")
        self.end_headers()
        if accepted:
            for event in (
                {"model": "tiny-q4", "choices": [{"delta": {"content": "Hi"}}]},
                {"choices": [{"delta": {}, "finish_reason": "length"}]},
                {"choices": [], "usage": {"completion_tokens": 1}},
            ):
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
        else:
            self.wfile.write(json.dumps({"error": {"message": f"wrong: {self.headers['Authorization']}"}}).encode())

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fake) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def probe(monkeypatch, capsys):
    """Run main() as Ansible does: arguments in, one JSON document out."""

    def run(**arguments):
        document = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": True, **arguments}}).encode()
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", document)
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            model_probe.main()
        output = capsys.readouterr().out
        assert KEY not in output.partition('"invocation"')[0]
        result = json.loads(output)
        result.pop("invocation")
        return result

    return run


def test_an_answer_is_returned(probe, url, tmp_path):
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    result = probe(url=url, model="tiny", api_key_file=str(key_file))
    assert 0 < result.pop("ttft_s") < 60
    assert result == {
        "changed": False,
        "answered": True,
        "model": "tiny-q4",
        "text": "Hi",
        "tokens": 1,
        "tokens_per_s": None,
        "finish_reason": "length",
        "dimensions": None,
        "outputs": [],
        "stage": "answers",
    }


def test_waiting_gives_the_same_document(probe, url):
    result = probe(url=url, model="tiny", api_key=KEY, wait=True, timeout_s=5)
    assert (result["answered"], result["text"]) == (True, "Hi")


def test_a_refusal_has_the_same_keys_and_no_key(probe, url):
    result = probe(url=url, model="tiny", api_key="sk-wrong", wait=True)
    assert result == {
        "failed": True,
        "msg": f"the server on port {url.rpartition(':')[2]} does not accept the API key: 401 wrong: Bearer ***",
        "changed": False,
        "answered": False,
        "model": None,
        "text": None,
        "tokens": 0,
        "ttft_s": None,
        "tokens_per_s": None,
        "finish_reason": None,
        "dimensions": None,
        "outputs": [],
        "stage": "answers",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"url": "localhost"}, "must be a URL", id="not-a-url"),
        pytest.param({"ca_path": "/nowhere/ca.pem"}, "no certificates can be read from /nowhere/ca.pem", id="no-file"),
        pytest.param({"ca_path": __file__}, "no certificates can be read from", id="no-certificates-in-it"),
        pytest.param({"api_key_file": "/nowhere/key"}, "/nowhere/key, cannot be read", id="no-key-file"),
        pytest.param({"expect": "tokens"}, "evaluated by the action plugin", id="expect-got-past-the-action-plugin"),
        pytest.param({"api_key": "sk-other", "api_key_file": "/k"}, "mutually exclusive", id="two-keys"),
    ],
)
def test_options_that_cannot_work_are_refused(probe, url, arguments, words):
    result = probe(**{"url": url, **arguments})
    assert result["failed"]
    assert words in result["msg"]


def test_every_key_is_documented(probe, url):
    documented = yaml.safe_load(model_probe.RETURN)
    always = {name for name, entry in documented.items() if entry["returned"] == "always"}
    assert set(probe(url=url, model="tiny", api_key=KEY)) - {"changed"} == always
