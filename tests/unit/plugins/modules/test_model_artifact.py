# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import http.server
import json
import os
import pathlib
import sys
import threading

import pytest
import yaml
from ansible.module_utils import basic
from ansible_collections.mlops.hosts.plugins.modules import model_artifact

sys.path.append(str(pathlib.Path(__file__).resolve().parents[4] / "tools" / "fakes"))
import fake_s3  # noqa: E402

CONTENT = b"GGUF" * 1000
TOKEN = "hf_a-token-that-must-not-be-seen"


class Fake(http.server.BaseHTTPRequestHandler):
    """A fake of a web server that wants a token."""

    busy: list[int] = []

    def do_GET(self):
        if self.busy:
            self.send_response(429)
            self.send_header("Retry-After", str(self.busy.pop()))
            self.send_header("Content-Length", "0")
            return self.end_headers()
        known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(CONTENT)) if known else "0")
        self.end_headers()
        if known and self.command == "GET":
            self.wfile.write(CONTENT)

    do_HEAD = do_GET

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
def module(monkeypatch, capsys, tmp_path):
    """Run main() as Ansible does: arguments in, one JSON document out."""

    def run(*, check=False, **arguments):
        arguments = {"store": str(tmp_path / "store"), "reserve_mib": 0, **arguments}
        document = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check, **arguments}}).encode()
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", document)
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            model_artifact.main()
        output = capsys.readouterr().out
        assert TOKEN not in output
        result = json.loads(output)
        result.pop("invocation", None)
        return result

    return run


@pytest.fixture
def tiny(url):
    return {"name": "tiny", "source": f"{url}/tiny.gguf", "sha256": hashlib.sha256(CONTENT).hexdigest()}


def test_a_model_comes_stays_and_goes(module, tiny, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n")
    desired = [{**tiny, "token_file": str(token_file)}]
    planned = module(artifacts=desired, check=True)
    assert planned["changed"] and not (tmp_path / "store").exists()
    done = module(artifacts=desired)
    assert (done["changed"], done["downloaded_bytes"]) == (True, len(CONTENT))
    assert done["actions"] == planned["actions"]
    path = done["artifacts"][0]["files"][0]["absolute_path"]
    with open(path, "rb") as file:
        assert file.read() == CONTENT
    again = module(artifacts=desired)
    assert (again["changed"], again["actions"], again["diff"]) == (False, [], {"before": {}, "after": {}})
    gone = module(artifacts=[{"name": "tiny", "state": "absent"}])
    assert gone["changed"] and not os.path.exists(path)
    assert planned.keys() == done.keys() == again.keys() == gone.keys()


def test_a_token_as_argument(module, tiny):
    assert module(artifacts=[{**tiny, "token": TOKEN}])["changed"]


def test_a_wait_that_a_server_asks_for_is_a_warning(module, tiny, url, monkeypatch):
    told = []
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda _module, text, **_more: told.append(text))
    monkeypatch.setattr(Fake, "busy", [1])
    done = module(artifacts=[{**tiny, "token": TOKEN}])
    assert done["changed"]
    said = f"{url} asked to wait 1 s before the next request: the answer was 429 (Retry-After: 1)"
    assert [text for text in told if "wait" in text] == [said]
    monkeypatch.setattr(Fake, "busy", [700])
    refused = module(artifacts=[{**tiny, "name": "other", "sha256": "0" * 64, "token": TOKEN}])
    assert "tiny.gguf" not in refused["msg"] and "asks to wait 700 s" in refused["msg"]


def test_refusals_are_one_sentence(module, tiny, tmp_path):
    assert module(artifacts=[tiny])["msg"].endswith("the answer was 401; it needs a token and none was given")
    assert module(artifacts=[{"name": "x"}])["msg"].startswith(
        "state is present but all of the following are missing: source"
    )
    assert "who is not on this host" in module(artifacts=[], owner="nobody-of-this-name")["msg"]
    assert "must be octal digits" in module(artifacts=[], mode="rw")["msg"]
    missing = module(artifacts=[{**tiny, "token_file": str(tmp_path / "none")}])
    assert missing["msg"].startswith("the token cannot be read from")


def test_a_user_who_is_still_to_be_made_is_no_error_in_check_mode(module):
    assert not module(artifacts=[], owner="nobody-of-this-name", check=True).get("failed")


def test_credentials_of_a_store_that_speaks_s3(module, tmp_path):
    (tmp_path / "served" / "models").mkdir(parents=True)
    (tmp_path / "served" / "models" / "tiny.gguf").write_bytes(CONTENT)
    given = tmp_path / "credentials"
    given.write_text(f"[default]\naws_access_key_id = AKIA\naws_secret_access_key = {TOKEN}\n")
    with fake_s3.Store(tmp_path / "served", keys={"AKIA": TOKEN}) as store:
        one = {"name": "tiny", "source": "s3://models/tiny.gguf", "sha256": hashlib.sha256(CONTENT).hexdigest()}
        one["endpoint"] = store.url
        for number, s3 in enumerate(
            ({"access_key": "AKIA", "secret_key": TOKEN}, {"credentials_file": str(given)}), start=1
        ):
            done = module(artifacts=[{**one, "s3": s3, "name": f"tiny-{number}"}], verify=True)
            assert done["changed"], done
        for text, words in (
            ("[other]\nx=1\n", "needs a section [default]"),
            (f"aws_secret_access_key = {TOKEN}\n", "needs a section [default]"),
            (f"[default]\naws_secret_access_key = {TOKEN}\n", "with aws_access_key_id"),
        ):
            given.write_text(text)
            said = module(artifacts=[{**one, "s3": {"credentials_file": str(given)}}])["msg"]
            assert words in said and str(given) in said
        missing = module(artifacts=[{**one, "s3": {"credentials_file": str(tmp_path / "none")}}])
        assert missing["msg"].startswith("the credentials cannot be read from")
        half = module(artifacts=[{**one, "s3": {"access_key": "AKIA"}}])
        assert "required together: access_key, secret_key" in half["msg"]


def test_the_specification_is_the_documentation():
    options = yaml.safe_load(model_artifact.DOCUMENTATION)["options"]

    def compare(spec, documented):
        assert list(spec) == list(documented)
        for name, one in spec.items():
            for key in ("type", "default", "choices", "elements", "required"):
                assert one.get(key) == documented[name].get(key), (name, key)
            if "options" in one:
                compare(one["options"], documented[name]["suboptions"])

    compare(model_artifact.SPEC, options)
