# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A warm run of Ansible is one like any other: it sees no run before it, and ends as a process of its own does."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT_S = 120


def load():
    spec = importlib.util.spec_from_file_location("warm_ansible", ROOT / "tools/warm_ansible.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["warm_ansible"] = module
    spec.loader.exec_module(module)
    return module


warm_ansible = load()


class Playbooks:
    """Runs of one server, each with an output of its own."""

    def __init__(self, folder):
        self.folder = folder
        quiet = {f"ANSIBLE_{name}": "false" for name in ("LOCALHOST_WARNING", "INVENTORY_UNPARSED_WARNING")}
        self.env = {**os.environ, **quiet, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_HOME": str(folder / "home")}
        self.warm = warm_ansible.Warm(folder, self.env, but_for={"OURS"})

    def start(self, *tasks, **env):
        """A run, and the file that gets what it writes."""
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        playbook, log = self.folder / "playbook.json", self.folder / f"{time.monotonic_ns()}.log"
        playbook.write_text(json.dumps([play]))
        with open(os.devnull) as nothing, open(log, "w") as out:
            streams = {"stdin": nothing, "stdout": out, "stderr": out}
            return self.warm.start([str(playbook)], cwd=self.folder, env={**self.env, **env}, **streams), log

    def ended(self, *tasks, **env):
        """How a run ended, and what it wrote."""
        run, log = self.start(*tasks, **env)
        return run.wait(LIMIT_S), log.read_text()


@pytest.fixture(scope="module")
def playbooks(tmp_path_factory):
    made = Playbooks(tmp_path_factory.mktemp("shared"))
    yield made
    made.warm.close()


@pytest.fixture
def fresh(tmp_path):
    """With a server that has no other run."""
    made = Playbooks(tmp_path)
    yield made
    made.warm.close()


def say(text):
    return {"debug": {"msg": text}}


def packed(folder):
    """Modules that Ansible need not pack again."""
    return {path.name.partition("-")[0].rpartition(".")[2] for path in folder.glob("ansiballz_cache/*-none")}


@pytest.mark.parametrize("task", [say("well"), {"fail": {"msg": "no"}}, {"ping": {}}, {"no_such_module": {}}], ids=str)
def test_output_and_exit_code_are_those_of_a_plain_process(playbooks, task):
    run, log = playbooks.start(task, ANOTHER="environment")
    assert isinstance(run, subprocess.Popen)
    assert playbooks.ended(task) == (run.wait(LIMIT_S), log.read_text())


def test_a_run_does_not_see_the_one_before(fresh):
    folders = fresh.folder / "home/tmp"
    see = say("{{ kept | default('nothing') }}, {{ lookup('env', 'OURS') or 'unset' }}")
    keep = {"set_fact": {"kept": "something"}}
    run, log = fresh.start(keep, see, {"command": f"cp -r {folders} seen"}, OURS="set")
    assert run.wait(LIMIT_S) == 0 and "something, set" in log.read_text()
    code, said = fresh.ended(see)
    assert code == 0 and "nothing, unset" in said
    # Its folder for temporary files was its own, and went with it.
    (own,) = (fresh.folder / "seen").glob(f"ansible-local-{run.pid}*")
    (server,) = folders.iterdir()
    assert packed(own) == packed(server) == {"command"}
    fresh.warm.close()
    assert not list(folders.iterdir())


def test_a_module_is_packed_once(fresh):
    """A later run has the very file that an earlier one made, unless that was killed."""
    folders = fresh.folder / "home/tmp"
    run, log = fresh.start({"command": "true"}, {"ping": {}}, {"pause": {"seconds": 20}})
    while not packed(next(folders.glob(f"ansible-local-{run.pid}*"), folders)) >= {"command", "ping"}:
        assert run.poll() is None, log.read_text()
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait(LIMIT_S) == -signal.SIGKILL
    (server,) = (path for path in folders.iterdir() if str(run.pid) not in path.name)
    assert not packed(server)
    links = {"shell": f"stat --format=%h {folders}/*/ansiballz_cache/*command-*-none", "register": "links"}
    shown = say("{{ links.stdout_lines }}")
    assert fresh.ended({"command": "true"})[0] == 0
    first = {path: path.stat().st_ino for path in server.glob("ansiballz_cache/*-none")}
    code, said = fresh.ended(links, shown)
    assert code == 0 and said.count('"2"') == 2, said  # its own, and the server's
    assert first and first == {path: path.stat().st_ino for path in first}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_to_its_group_ends_it_as_a_plain_process(playbooks, number):
    codes = []
    for env in ({}, {"ANOTHER": "environment"}):
        begun = playbooks.folder / f"begun-{number}-{len(codes)}"
        run, log = playbooks.start({"shell": f"touch {begun}; sleep 20"}, **env)
        while not begun.exists():
            assert run.poll() is None, log.read_text()
            time.sleep(0.02)
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(0.01)
        os.killpg(run.pid, number)
        codes.append(run.wait(LIMIT_S))
    assert codes[0] == codes[1] != 0
    assert playbooks.ended(say("well"))[0] == 0


def test_a_dead_server_is_an_error(fresh):
    run, _log = fresh.start({"pause": {"seconds": 1}})
    fresh.warm._server.kill()
    with pytest.raises(RuntimeError, match="died"):
        run.wait(LIMIT_S)
