# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that starts ansible-playbook by itself gets a warm run, and sees no difference."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.ansible_listener import ADDRESS, IN_PATH, Listener

LIMIT_S = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("listener")


@pytest.fixture(scope="module")
def env(folder):
    quiet = {f"ANSIBLE_{name}": "false" for name in ("LOCALHOST_WARNING", "INVENTORY_UNPARSED_WARNING")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **quiet, "PATH": path, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_HOME": str(folder / "home")}


@pytest.fixture(scope="module")
def listener():
    with Listener() as made:
        yield made


def start(env, folder, *tasks):
    playbook = folder / "playbook.json"
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}])
    )
    return subprocess.Popen(
        ["ansible-playbook", str(playbook)],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(env, folder, *tasks):
    run = start(env, folder, *tasks)
    said, _ = run.communicate(timeout=LIMIT_S)
    return run.returncode, said


def say(text):
    return {"debug": {"msg": text}}


@pytest.mark.parametrize("task", [say("well"), {"fail": {"msg": "no"}}], ids=str)
def test_output_and_exit_code_are_those_of_the_program(listener, env, folder, task):
    assert ended(listener.environment(env), folder, task) == ended(env, folder, task)


def test_a_run_has_the_environment_of_the_program(listener, env, folder):
    """Not what leads it here: a run that it starts by itself is a plain one."""
    path, address = (say(f"<{{{{ lookup('env', '{name}') }}}}>") for name in ("PATH", ADDRESS))
    code, said = ended(
        listener.environment({**env, "OURS": "set"}), folder, path, address, say("{{ lookup('env', 'OURS') }}")
    )
    assert code == 0 and f"<{env['PATH']}>" in said and '"<>"' in said and '"set"' in said
    assert str(IN_PATH) not in said


def test_runs_in_one_environment_share_a_server(listener, env, folder):
    before = len(listener._servers)
    warm, other = ({**env, "ANSIBLE_FORKS": forks} for forks in ("3", "4"))
    for each, servers in ((warm, 1), (warm, 1), (other, 2)):
        assert ended(listener.environment(each), folder, say("well"))[0] == 0
        assert len(listener._servers) - before == servers


def test_its_version_takes_no_server(listener, env, folder):
    before = dict(listener._servers)
    argv = ["ansible-playbook", "--version"]
    warm, plain = (
        subprocess.run(argv, cwd=folder, env=each, capture_output=True, check=True)
        for each in (listener.environment({**env, "ANSIBLE_FORKS": "6"}), env)
    )
    assert warm.stdout == plain.stdout and listener._servers == before


def test_its_version_is_asked_once(env, folder):
    """But for one that failed, which may work the next time."""
    program = folder / "bin/ansible-playbook"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho asked >>"$0.log"\necho version\ntest -e "$0.well"\n')
    program.chmod(0o755)
    asked = program.with_suffix(".log")
    with Listener() as listener:
        path = f"{program.parent}{os.pathsep}{env['PATH']}"
        run = functools.partial(
            subprocess.run,
            ["ansible-playbook", "--version"],
            env=listener.environment({**env, "PATH": path}),
            capture_output=True,
            check=False,
        )
        assert [run().returncode for _ in range(2)] == [1, 1] and asked.read_text().split() == ["asked"] * 2
        program.with_suffix(".well").touch()
        assert [(done.returncode, done.stdout) for done in (run(), run())] == [(0, b"version\n")] * 2
    assert asked.read_text().split() == ["asked"] * 3


def test_a_run_ends_with_the_program_that_asked_for_it(listener, env, folder):
    begun = folder / "begun"
    run = start(
        listener.environment(env), folder, {"shell": f"echo $PPID >{begun}.new; mv {begun}.new {begun}; sleep 60"}
    )
    limit = time.monotonic() + LIMIT_S
    while not begun.exists():
        assert run.poll() is None and time.monotonic() < limit
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=LIMIT_S)
    assert run.returncode == -signal.SIGTERM
    while Path("/proc", begun.read_text().strip()).exists():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_run_that_is_killed_ends_the_program_alike(listener, env, folder):
    begun = folder / "begun-too"
    run = start(listener.environment(env), folder, {"shell": f"touch {begun}; sleep 20"})
    while not begun.exists():
        assert run.poll() is None
        time.sleep(0.02)
    server = listener._servers[str(folder), json.dumps(env, sort_keys=True)]._server.pid
    (child,) = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    run.communicate(timeout=LIMIT_S)
    assert run.returncode == -signal.SIGKILL
    assert ended(listener.environment(env), folder, say("well"))[0] == 0
