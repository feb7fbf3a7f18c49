# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server has that takes in its models itself, and what it was given."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._inference.models import difference, noted

from .support import FETCHES, status

GIVEN, OTHER = "1a" * 32, "2b" * 32
NOTE = f"chat:latest {GIVEN[:12]}\n"


def tags(**models):
    """As ``/api/tags`` of Ollama."""
    listed = [{"name": f"{name}:latest", "model": f"{name}:latest", "digest": one} for name, one in models.items()]
    return status(200, {"models": listed})


@pytest.fixture
def differs(server, tmp_path):
    def differs(reply, note=NOTE):
        server.routes["/api/tags"] = [reply]
        path = tmp_path / "models"
        if note is not None:
            path.write_text(note)
        return difference(str(path), server.url, FETCHES["used"]())

    return differs


def test_a_server_that_has_what_it_was_given(differs):
    assert differs(tags(chat=GIVEN)) is None


@pytest.mark.parametrize(
    ("models", "have"),
    [
        pytest.param({"chat": OTHER}, f"chat:latest {OTHER[:12]}", id="another-model"),
        pytest.param({}, "none", id="none"),
        pytest.param(
            {"chat": GIVEN, "a": OTHER}, f"a:latest {OTHER[:12]}, chat:latest {GIVEN[:12]}", id="one-too-many"
        ),
    ],
)
def test_a_server_that_has_something_else(differs, models, have):
    assert differs(tags(**models)) == (NOTE.strip(), have)


@pytest.mark.parametrize(
    "note", [pytest.param(None, id="none"), pytest.param("chat latest\n", id="of-another-form"), "\x00"]
)
def test_what_it_was_given_is_not_known(differs, note):
    assert differs(tags(chat=GIVEN), note) == ("not known", f"chat:latest {GIVEN[:12]}")


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(status(500, {"error": "model list cache unavailable"}), id="error"),
        pytest.param(status(200, "<html>"), id="no-json"),
        pytest.param(status(200, {"models": None}), id="null"),
        pytest.param(status(200, {"models": [{"name": "chat"}]}), id="no-digest"),
    ],
)
def test_nothing_is_said_of_a_server_that_does_not_say(differs, reply):
    assert differs(reply) is None


def test_nothing_is_said_where_nobody_listens(closed_port, tmp_path):
    assert difference(str(tmp_path / "models"), f"http://127.0.0.1:{closed_port}", FETCHES["used"]()) is None


def test_what_is_no_file_is_not_read(tmp_path):
    (tmp_path / "models").write_text(NOTE)
    (tmp_path / "link").symlink_to(tmp_path / "models")
    os.mkfifo(tmp_path / "fifo")
    assert noted(str(tmp_path / "models")) == {"chat:latest": GIVEN[:12]}
    assert [noted(str(tmp_path / name)) for name in ("link", "fifo", "none")] == [None, None, None]
