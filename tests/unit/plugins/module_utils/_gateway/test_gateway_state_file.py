# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gateway import config, parse, state_file

DATA = pathlib.Path(__file__).resolve().parents[3] / "data/haproxy/3.0.11/show_servers_state.txt"
SAME = """
backend model.chat
    server one:a 127.0.0.1:9001
    server two:a 127.0.0.1:9002
backend model.embed
    server one:e 127.0.0.1:9001 weight 50
    server gone:e 127.0.0.1:9009
"""


def fitted(text, *, fresh=False, resolve=lambda _name: []):
    found = state_file.fitted(DATA.read_text(), config.parse({"x": text}), fresh=fresh, resolve=resolve)
    return {row.name: row for row in parse.servers(found)}


def test_what_has_not_moved_stays_as_it_is():
    assert (
        state_file.fitted(DATA.read_text(), config.parse({"x": SAME}), fresh=False) == DATA.read_text().rstrip() + "\n"
    )


def test_a_server_that_has_moved_is_where_it_is_now_and_drained_as_before():
    moved = fitted(SAME.replace("two:a 127.0.0.1:9002", "two:a 127.0.0.2:9003"))["two:a"]
    assert (moved.address, moved.port, moved.state) == ("127.0.0.2", "9003", "drain")


def test_what_was_down_elsewhere_is_not_known_to_be_down():
    assert fitted(SAME)["gone:e"].state == "down"
    assert fitted(SAME.replace("9009", "9010"))["gone:e"].state == "up"


def test_after_a_stop_only_what_operators_have_set_counts():
    rows = fitted(SAME, fresh=True)
    assert {name: row.state for name, row in rows.items()} == {
        "one:a": "up",
        "two:a": "drain",
        "one:e": "maint",
        "gone:e": "up",
    }


def test_a_server_that_is_gone_is_left_out():
    rows = fitted(SAME.replace("server two:a", "# server two:a"))
    assert sorted(rows) == ["gone:e", "one:a", "one:e"]


@pytest.mark.parametrize(
    ("resolved", "address"),
    [([], "127.0.0.1"), (["10.0.0.1", "127.0.0.1"], "127.0.0.1"), (["10.0.0.2", "10.0.0.1"], "10.0.0.2")],
    ids=["no-answer-keeps-the-last", "still-there", "moved"],
)
def test_a_name(resolved, address):
    row = fitted(SAME.replace("two:a 127.0.0.1", "two:a two.example"), resolve=lambda _name: resolved)["two:a"]
    assert (row.address, row.host_name, row.state) == (address, "two.example", "drain")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "servers.state"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        state_file.write(str(path), "after \udcff")
    assert path.read_text() == "before"
    state_file.write(str(path), "after")
    assert path.read_text() == "after"
    assert os.listdir(tmp_path) == ["servers.state"]
