# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host must have before Ray starts, and when it has joined. The cluster is a fake; a scenario has a real one."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._ray import node, program
from ansible_collections.mlops.hosts.plugins.module_utils._ray.cluster import Node, Versions

MIB = 2**20
WORKER = node.Config(address="10.0.0.2", head="10.0.0.1", port=6379, object_store=512 * MIB, join_s=30)
HEAD = node.Config(address="10.0.0.1", head="10.0.0.1", port=6379, object_store=512 * MIB, join_s=30)
SAME = Versions("2.60.0", "3.11.2")


class FakeHost(node.ThisHost):
    """Time passes when it sleeps, and ``after`` so many seconds the head listens."""

    def __init__(self, *, after=0, free=4096, memory=16384, addresses=("10.0.0.1", "10.0.0.2"), runs=True):
        self.now, self.after, self.free, self.total = 0.0, after, free * MIB, memory * MIB
        self.addresses, self.alive, self.forgotten = addresses, runs, False

    def has_address(self, address):
        return address in self.addresses

    def free_shared_memory(self):
        return self.free

    def memory(self):
        return self.total

    def reaches(self, address, port):
        return None if self.now >= self.after else "Connection refused"

    def runs(self, process):
        return self.alive

    def forget_sessions(self):
        self.forgotten = True

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class FakeCluster:
    """Answers in turn, the last one for ever; what is a HostError is raised."""

    def __init__(self, *answers, here=SAME):
        self.answers, self.here = list(answers), here

    def _next(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, HostError):
            raise answer
        return answer

    versions = nodes = _next


REFUSED = HostError("the head at 10.0.0.1:6379 refuses the token in /etc/token; give all hosts the same")


def test_a_worker_waits_for_its_head():
    host = FakeHost(after=20)
    node.prepare(WORKER, host, FakeCluster(SAME))
    assert (host.now, host.forgotten) == (20, True)


def test_a_head_waits_for_nobody():
    node.prepare(HEAD, FakeHost(after=99), FakeCluster(REFUSED))


@pytest.mark.parametrize("earlier", [REFUSED, None, Versions("2.59.0", "3.11.2")])
def test_a_head_that_is_about_to_be_right_is_waited_for(earlier):
    host = FakeHost()
    node.prepare(WORKER, host, FakeCluster(earlier, earlier, SAME))
    assert host.now == 2


@pytest.mark.parametrize(
    ("host", "answer", "says"),
    [
        ({"after": 99}, SAME, r"^the head at 10.0.0.1:6379 is not reached: Connection refused; start the head, or "),
        ({}, REFUSED, r"^the head at 10.0.0.1:6379 refuses the token in /etc/token; give all hosts the same \(after "),
        ({}, None, r"^the head at 10.0.0.1:6379 has not said which versions it has; see its log \(after 30 s\)$"),
        ({}, Versions("2.60.0", "3.11.9"), "runs Ray 2.60.0 with Python 3.11.9, and this host has .* Python 3.11.2; "),
    ],
)
def test_no_worker_waits_for_ever(host, answer, says):
    here = FakeHost(**host)
    with pytest.raises(HostError, match=says):
        node.prepare(WORKER, here, FakeCluster(answer))
    assert here.now == WORKER.join_s


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ({"addresses": ()}, r"^10.0.0.2 is no address of this host; set ray_cluster_address "),
        ({"free": 400}, r"^the object store of 512 MiB is more than what is free in /dev/shm \(400 MiB\); lower "),
        ({"memory": 1000}, r"^the object store of 512 MiB is more than half of the memory \(500 MiB\); lower "),
    ],
)
def test_what_ray_would_pass_over_is_refused(host, says):
    with pytest.raises(HostError, match=says):
        node.prepare(WORKER, FakeHost(**host), FakeCluster(SAME))


def alive(address, *, start="", head=False, there=True):
    return Node(address=address, alive=there, head=head, start=start)


def test_a_host_has_joined_when_this_start_of_it_is_counted():
    host = FakeHost()
    earlier = [alive("10.0.0.2", start="a"), alive("10.0.0.2", start="b", there=False)]
    node.joined(WORKER, host, FakeCluster(earlier, REFUSED, [alive("10.0.0.2", start="b")]), start="b", process=7)
    assert host.now == 2


def test_ray_that_has_ended_is_not_waited_for():
    host = FakeHost(runs=False)
    with pytest.raises(HostError, match="^Ray has ended before the cluster counted this host; its own lines say why$"):
        node.joined(WORKER, host, FakeCluster([]), start="b", process=7)
    assert host.now == 0


def run(argv, *answers, **more):
    return program.main(argv, config=WORKER, host=FakeHost(**more), cluster=FakeCluster(*answers))


def test_nodes_are_counted_once_for_each_address(capsys):
    known = [alive("10.0.0.2"), alive("10.0.0.1", head=True), alive("10.0.0.2"), alive("10.0.0.3", there=False)]
    assert run(["nodes", "10.0.0.1", "10.0.0.2"], known) == 0
    assert capsys.readouterr().out == "10.0.0.1 head\n10.0.0.2\n"


def test_one_that_is_not_counted_is_named(capsys):
    assert run(["nodes", "--wait", "5", "10.0.0.1", "10.0.0.3"], [alive("10.0.0.1", head=True)]) == 1
    said = capsys.readouterr().err
    assert said == "the head at 10.0.0.1:6379 does not count 10.0.0.3; see mlops-ray.service there (after 5 s)\n"


def test_what_is_in_the_way_of_a_start_is_a_sentence_and_a_failure(capsys):
    assert run(["prepare"], SAME, free=1) == 1
    assert capsys.readouterr().err.startswith("the object store of 512 MiB is more than")
    assert run(["prepare"], SAME) == 0


def test_of_the_host_itself(tmp_path, monkeypatch):
    host = node.ThisHost()
    assert host.has_address("127.0.0.1")
    assert not host.has_address("198.51.100.7")
    assert host.memory() > 0 < host.free_shared_memory()
    assert host.runs(1)
    assert not host.runs(2**22 + 1)
    monkeypatch.setattr(node.paths, "TEMP", str(tmp_path))
    for name in ("session_2026-01-01", "session_2026-01-02", "session_2026-01-03", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "session_latest").symlink_to(tmp_path / "session_2026-01-03")
    host.forget_sessions()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "session_2026-01-03", "session_latest"]
