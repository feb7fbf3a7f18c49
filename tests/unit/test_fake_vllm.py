# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake of vLLM does what the real one was seen to do, and the gate tells it from a server that is right."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._http_plain import PlainFetch
from ansible_collections.mlops.hosts.plugins.module_utils._inference.answer import NotAnswering
from ansible_collections.mlops.hosts.plugins.module_utils._inference.question import Question
from ansible_collections.mlops.hosts.plugins.module_utils._inference.wait import wait_for_answer
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines import ENGINES

FAKE = pathlib.Path(__file__).parents[2] / "tools/fakes/fake_vllm.py"
CHAT = "/v1/chat/completions"
KEY = "sk-secret"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Running:
    """A fake with a key, started as the unit starts it."""

    def __init__(self, model, *flags, **environment):
        self.port = free_port()
        words = ["serve", str(model), "--host", "127.0.0.1", "--port", str(self.port), "--served-model-name", "chat"]
        self.process = subprocess.Popen(
            [sys.executable, str(FAKE), *words, *flags],
            env={"PATH": os.environ["PATH"], "VLLM_API_KEY": KEY, "FAKE_LOAD_S": "0", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def core(self):
        pid = self.process.pid
        return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text())

    def wait(self, *closed_paths):
        url = f"http://127.0.0.1:{self.port}"
        question = Question(url, model="chat", api_key=KEY, closed_paths=closed_paths)
        return wait_for_answer(PlainFetch(), question, deadline_s=20)[0]

    def exit_status(self):
        return self.process.wait(timeout=20)


@pytest.fixture
def start(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    running = []

    def start(*flags, **environment):
        running.append(Running(tmp_path, *flags, **environment))
        return running[-1]

    yield start
    for one in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.communicate(timeout=20)


def test_what_its_key_closes_is_closed(start):
    answer = start().wait(*ENGINES["vllm"].closed_paths)
    assert (answer.model, answer.tokens, answer.finish_reason) == ("chat", 8, "length")


@pytest.mark.parametrize("variable", ["VLLM_API_KEY", "FAKE_OPEN"])
def test_one_that_is_open_is_not_ready(start, variable):
    server = start(**{variable: "" if variable == "VLLM_API_KEY" else "1"})
    with pytest.raises(NotAnswering, match=f"does not refuse {CHAT} without an API key: 200 OK"):
        server.wait(*ENGINES["vllm"].closed_paths)


def test_what_its_key_leaves_open_runs_the_model(start):
    assert "/invocations" in ENGINES["vllm"].open_paths
    with pytest.raises(NotAnswering, match="does not refuse /invocations without an API key: 200 OK"):
        start().wait("/invocations")


def test_it_exits_with_status_0_when_its_core_dies(start):
    server = start()
    server.wait()
    os.kill(server.core, signal.SIGKILL)
    assert server.exit_status() == 0


@pytest.mark.parametrize(
    ("flags", "finish_reason"),
    [
        pytest.param((), "abort", id="cuts-what-is-open"),
        pytest.param(("--shutdown-timeout", "20"), "length", id="waits-for-what-is-open"),
    ],
)
def test_sigterm_ends_what_is_open(start, flags, finish_reason):
    server = start(*flags)
    server.wait()
    with PlainFetch()(
        f"http://127.0.0.1:{server.port}/invocations", method="POST", data=b'{"max_tokens": 40}', timeout_s=20
    ) as response:
        said = response.body.readline().decode()  # the stream is open
        server.process.send_signal(signal.SIGTERM)
        said += response.body.read().decode()
    assert re.findall('"finish_reason": "([a-z]+)"', said) == [finish_reason]
    assert said.endswith("data: [DONE]\n\n")
    assert server.exit_status() == 0


def test_a_flag_that_it_does_not_know_is_status_2(start):
    server = start("--swap-space", "4")
    assert server.exit_status() == 2
    assert "unrecognized arguments: --swap-space" in server.process.stderr.read()


def test_a_directory_without_a_model_is_status_1(start, tmp_path):
    (tmp_path / "config.json").unlink()
    assert start().exit_status() == 1
