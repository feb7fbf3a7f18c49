# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fakes of servers run with the words that the role builds for them, and the gate tells what is right of them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._http_plain import PlainFetch
from ansible_collections.mlops.hosts.plugins.module_utils._inference.answer import NotAnswering
from ansible_collections.mlops.hosts.plugins.module_utils._inference.models import difference
from ansible_collections.mlops.hosts.plugins.module_utils._inference.question import Question
from ansible_collections.mlops.hosts.plugins.module_utils._inference.wait import wait_for_answer
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines import ENGINES
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.instance import parse

FAKES = pathlib.Path(__file__).parents[2] / "tools/fakes"
KEY = "sk-'secret"
MODEL = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
    "outputs": [
        {"name": "y", "datatype": "INT64", "shape": [-1, 2]},
        {"name": "words", "datatype": "BYTES", "shape": [1]},
    ],
}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def words_of(command):
    return [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(command)]


class Running:
    """A fake, started with the words, the variables and the key file of its unit."""

    def __init__(self, place, engine, **item):
        self.engine = ENGINES[engine]
        program = place / pathlib.Path(self.engine.program).name
        model = place / ("model.gguf" if self.engine.model_kind == "file" else "model")
        given = {"name": "chat", "engine": engine, "binary": str(program), "model": {"path": str(model)}, **item}
        self.instance = parse({"port": free_port(), **given})
        if "api_key" in item:
            (place / "api_key").write_text(f"{item['api_key']}\n")
        variables = {**self.engine.environment(self.instance), "FAKE_LOAD_S": 0, **self.instance.environment}
        self.environment = {
            **{name: str(value) for name, value in variables.items() if value is not None},
            **{"PATH": os.environ["PATH"], "HOME": str(place), "CREDENTIALS_DIRECTORY": str(place)},
            "CACHE_DIRECTORY": str(place),
        }
        command = " ".join([*self.engine.command(self.instance), *self.instance.extra_args])
        self.process = subprocess.Popen(
            words_of(command.replace("/dev/shm", str(place))),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def core(self):
        pid = self.process.pid
        return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text())

    def taken(self):
        """What ``ExecStartPost=`` does, to its end."""
        words = words_of(
            " ".join(shlex.quote(word) for word in self.engine.after_start(self.instance, [self.instance.binary]))
        )
        env = {**self.environment, "MAINPID": str(self.process.pid)}
        return subprocess.run(words, env=env, capture_output=True, text=True, timeout=20, check=False)

    def wait(self, **more):
        asked = self.engine.question(self.instance)
        asked.pop("api_key_file", None)
        asked.pop("models_file", None)
        question = Question(**{**asked, "api_key": self.instance.api_key, **more})
        return wait_for_answer(PlainFetch(), question, deadline_s=20, alive=self._alive)[0]

    def _alive(self):
        return None if self.process.poll() is None else f"status {self.process.returncode}"

    def status(self, path):
        try:
            with urllib.request.urlopen(f"{self.instance.url}{path}", timeout=20) as response:
                return response.status
        except urllib.error.HTTPError as exc:
            return exc.code

    def ends(self):
        """Its status, and what it wrote."""
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said


@pytest.fixture
def start(tmp_path):
    for name in ("fake_engine.py", "fake_vllm.py"):
        shutil.copy(FAKES / name, tmp_path)
    for engine in ENGINES.values():
        program = tmp_path / pathlib.Path(engine.program).name
        program.write_text((FAKES / "fake_engine.py").read_text().replace("/usr/bin/env python3", sys.executable, 1))
        program.chmod(0o755)
    (tmp_path / "model.gguf").write_bytes(b"GGUF and more")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    running = []

    def start(engine, **item):
        running.append(Running(tmp_path, engine, **item))
        return running[-1]

    yield start
    for one in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.communicate(timeout=20)


@pytest.fixture
def repository(tmp_path, start):
    """A model repository of Triton with one model."""
    (tmp_path / "model/config.json").unlink()
    (tmp_path / "model/chat/1").mkdir(parents=True)
    (tmp_path / "model/chat/config.json").write_text(json.dumps(MODEL))
    return tmp_path / "model"


@pytest.mark.parametrize("engine", ["sglang", "tei"])
def test_what_the_key_closes_is_closed_and_the_key_is_not_logged(start, engine):
    server = start(engine, api_key=KEY)
    assert server.wait().model == "chat"
    for path in server.engine.open_paths:
        assert server.status(path) == 200
    server.process.terminate()
    status, said = server.ends()
    assert status == 0
    assert "secret" not in said


@pytest.mark.parametrize(
    ("engine", "item"),
    [
        pytest.param("sglang", {"extra_args": ["--log-level", "info"]}, id="sglang"),
        pytest.param("tei", {"environment": {"LOG_LEVEL": "info"}}, id="tei"),
    ],
)
def test_without_what_the_role_does_it_would_be_logged(start, engine, item):
    """The role refuses what is given here."""
    server = start(engine, api_key=KEY, **item)
    server.wait()
    server.process.terminate()
    assert "secret" in server.ends()[1]


def test_sglang_says_that_it_is_ready_when_another_has_its_port(start):
    first = start("sglang")
    first.wait()
    second = start("sglang", port=first.instance.port)
    status, said = second.ends()
    assert (status, "ready to roll" in said) == (3, True)
    with pytest.raises(NotAnswering, match="does not run: status 3"):
        second.wait()


def test_sglang_waits_for_what_is_open_and_says_503(start):
    server = start("sglang", environment={"FAKE_TOKEN_S": "0.1"})
    server.wait()
    url = f"{server.instance.url}/v1/completions"
    with PlainFetch()(url, method="POST", data=b'{"max_tokens": 20}', timeout_s=20) as response:
        said = response.body.readline().decode()  # the stream is open
        server.process.terminate()
        while server.status("/health") != 503:
            pass
        said += response.body.read().decode()
    assert '"finish_reason": "length"' in said
    assert server.ends()[0] == 0


def test_sglang_is_stopped_while_it_loads(start):
    server = start("sglang", environment={"FAKE_LOAD_S": 60})
    while server.process.stdout.readline() != "Loading\n":
        pass
    server.process.terminate()
    assert server.process.wait(timeout=20) == -signal.SIGTERM  # its scheduler is for systemd to kill


def test_sglang_kills_itself_when_its_scheduler_has_died(start):
    server = start("sglang")
    server.wait()
    os.kill(server.core, signal.SIGKILL)
    assert server.ends()[0] == -signal.SIGKILL


@pytest.mark.parametrize(
    ("vector", "said"),
    [("[0, 0.0]", "all of its 2 numbers are zero"), ("[1, null]", "no finite number"), ("[]", "no list of numbers")],
)
def test_a_server_of_embeddings_that_is_broken_is_not_ready(start, vector, said):
    with pytest.raises(NotAnswering, match=said):
        start("tei", environment={"FAKE_VECTOR": vector}).wait()


def test_a_server_of_embeddings_says_how_many_numbers(start):
    assert start("tei").wait().dimensions == 32


def test_ollama_has_no_model_until_it_is_given_one(start):
    server = start("ollama")
    with pytest.raises(NotAnswering, match='has no model chat: 404 model "chat" not found'):
        server.wait()
    done = server.taken()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.wait().tokens == 8
    server.process.terminate()
    assert server.ends()[0] == 0
    again = start("ollama")  # its store is still there
    assert again.wait().tokens == 8


def test_ollama_serves_no_model_of_an_earlier_name(start):
    first = start("ollama", served_name="first")
    assert first.taken().returncode == 0
    first.process.terminate()
    first.process.wait(timeout=20)
    second = start("ollama", served_name="second")
    assert second.taken().returncode == 0
    with pytest.raises(NotAnswering, match="has no model first; it serves second:latest"):
        second.wait(model="first")


def test_what_others_do_to_the_models_of_ollama_is_seen_and_its_unit_takes_it_back(start, tmp_path):
    server = start("ollama")
    assert server.taken().returncode == 0
    note, url = server.environment["CACHE_DIRECTORY"] + "/models", server.instance.url
    (tmp_path / "other.gguf").write_bytes(b"GGUF and something else")

    def differs():
        return difference(note, url, PlainFetch())

    given = pathlib.Path(note).read_text().strip()
    assert differs() is None
    for name in ("chat", "extra"):
        asked = json.dumps({"model": name, "from": str(tmp_path / "other.gguf")}).encode()
        with PlainFetch()(f"{url}/api/create", method="POST", data=asked) as response:
            assert response.status == 200
        desired, have = differs()
        assert desired == given and have != given and f"{name}:latest " in have
    assert server.taken().returncode == 0
    assert differs() is None
    assert pathlib.Path(note).read_text().strip() == given
    with PlainFetch()(f"{url}/api/delete", method="POST", data=b'{"model": "chat"}') as response:
        assert response.status == 200
    assert differs() == (given, "none")


def test_a_file_that_ollama_does_not_take_is_said_in_one_line(start, tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"PK")
    done = start("ollama").taken()
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Error: invalid file magic\n")


def test_a_model_of_triton_infers(start, repository):
    outputs = start("triton").wait().outputs
    assert [(one.name, one.datatype, one.shape) for one in outputs] == [
        ("y", "INT64", (1, 2)),
        ("words", "BYTES", (1,)),
    ]


def test_the_models_that_triton_has_are_told(start, repository):
    with pytest.raises(NotAnswering, match="has no model other; it serves chat"):
        start("triton", served_name="other").wait()


def test_triton_does_not_start_with_a_model_that_does_not_load(start, repository):
    (repository / "chat/1").rmdir()
    status, said = start("triton").ends()
    assert (status, "chat has no version" in said) == (1, True)


@pytest.mark.parametrize(("engine", "status"), [("tei", 1), ("ollama", 1), ("triton", 1)])
def test_a_port_that_is_taken_is_a_failure(start, repository, engine, status):
    (repository / "config.json").write_text("{}")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        assert start(engine, port=held.getsockname()[1]).ends()[0] == status
