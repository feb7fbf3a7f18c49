# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions that a component requires of a host before anything changes there."""

from __future__ import annotations

import dataclasses
import os
import socket
import tempfile

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import requirements
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import Requirement
from ansible_collections.mlops.hosts.plugins.module_utils._component.requirements import Checked
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError

from ....fakes import FakeReader, requirements_of
from .support import Host, component


def port(address="127.0.0.1", units=("a.service",), **more):
    return Requirement("port", "Port 8001 is held by {found}.", port=8001, address=address, units=units, **more)


def path(kind="path", **more):
    return Requirement(kind, "It is {found}.", path="/srv/x", **more)


def there(kind, mode="0755", path="/srv/x"):
    return {"path": path, "kind": kind, "mode": mode, "owner": "root", "group": "root"}


def listener(address="127.0.0.1", unit=None, **more):
    return {"port": 8001, "address": address, "pid": 12, "process": "python3", "unit": unit, **more}


def said(requirement, reader, *, check_mode=False, stopped=()):
    """What is refused, None where nothing is."""
    try:
        checked = requirements.check([requirement], reader, stopped=stopped, check_mode=check_mode)
    except HostError as exc:
        return str(exc)
    assert checked == Checked()
    return None


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("address", "listeners", "stopped", "words"),
    [
        pytest.param("127.0.0.1", [], (), None, id="free"),
        pytest.param("127.0.0.1", [listener(port=8002)], (), None, id="another-port"),
        pytest.param("127.0.0.1", [listener(unit="a.service")], (), None, id="held-by-a-unit-that-is-named"),
        pytest.param("127.0.0.1", [listener(unit="b.service")], ("b.service",), None, id="its-holder-is-stopped-first"),
        pytest.param("127.0.0.1", [listener("127.0.0.2")], (), None, id="another-address"),
        pytest.param(
            "127.0.0.1", [listener(unit="b.service")], (), "python3 (pid 12, b.service)", id="held-by-another-unit"
        ),
        pytest.param("127.0.0.1", [listener("0.0.0.0")], (), "python3 (pid 12)", id="held-on-all-addresses"),
        pytest.param("0.0.0.0", [listener()], (), "python3 (pid 12)", id="all-addresses-are-needed"),
        pytest.param("localhost", [listener()], (), "python3 (pid 12)", id="by-name"),
        pytest.param("127.0.0.1", [listener("::ffff:127.0.0.1")], (), "python3 (pid 12)", id="the-same-as-IPv6"),
        pytest.param(
            "127.0.0.1", [listener(unit="a.service"), listener()], (), "python3 (pid 12)", id="ours-and-another"
        ),
        pytest.param("127.0.0.1", [listener(), listener("::")], (), "python3 (pid 12)", id="twice-by-the-same"),
        pytest.param(
            "127.0.0.1", [listener(), listener("::", pid=13)], (), "python3 (pid 12), python3 (pid 13)", id="two"
        ),
        pytest.param(
            "127.0.0.1", [listener(pid=None, process=None)], (), "a process that cannot be seen", id="by-one-unseen"
        ),
    ],
)
def test_a_port(address, listeners, stopped, words, check_mode):
    found = said(port(address), FakeReader(listeners=listeners), stopped=stopped, check_mode=check_mode)
    assert found == (words and f"Port 8001 is held by {words}.")


def test_an_address_that_is_none_is_not_a_port_that_is_free():
    words = "the address of a required port must be an IP address or localhost, not 'here'"
    assert said(port("here"), FakeReader()) == words


def test_a_holder_of_a_port_can_have_a_message_of_its_own():
    moving = port(msg_for={"b.service": "B still has port {what}."})
    assert said(moving, FakeReader(listeners=[listener(unit="b.service")])) == "B still has port 8001 (b.service)."
    other = said(moving, FakeReader(listeners=[listener(unit="c.service")]))
    assert other == "Port 8001 is held by python3 (pid 12, c.service)."


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("kind", "mode", "options", "words"),
    [
        pytest.param("file", "0644", {}, None, id="there"),
        pytest.param("file", "0644", {"type": "file"}, None, id="a-file"),
        pytest.param("directory", "0755", {"type": "file", "max_mode": 0}, "a directory", id="no-file"),
        pytest.param("other", "0755", {"type": "directory"}, "neither a file nor a directory", id="no-directory"),
        pytest.param("file", "0600", {"max_mode": 0o700}, None, id="closed"),
        pytest.param("file", "0640", {"max_mode": 0o700}, "mode 0640, owner root:root", id="open"),
        pytest.param("file", "0755", {"executable": True}, None, id="a-program"),
        pytest.param("file", "0644", {"executable": True}, "mode 0644, owner root:root", id="no-program"),
    ],
)
def test_a_path(kind, mode, options, words, check_mode):
    found = said(path(**options), FakeReader([there(kind, mode)]), check_mode=check_mode)
    assert found == (words and f"It is {words}.")


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        pytest.param([], "No /srv/x.", id="absent"),
        pytest.param([there("directory")], "Not a file, but a directory.", id="type"),
        pytest.param([there("file", "0644")], "Open.", id="max_mode"),
        pytest.param([there("file", "0600")], "It is mode 0600, owner root:root.", id="another-reason"),
    ],
)
def test_a_path_can_have_a_message_for_each_reason(paths, words):
    messages = {"absent": "No {what}.", "type": "Not a file, but {found}.", "max_mode": "Open."}
    program = path(type="file", max_mode=0o700, executable=True, msg_for=messages)
    assert said(program, FakeReader(paths)) == words


def test_a_name():
    peer = Requirement("name", "{what} is {found}.", name="gpu1.example.com")
    assert said(peer, FakeReader(hosts=("gpu1.example.com",))) is None
    assert said(peer, FakeReader()) == "gpu1.example.com is not known."
    # An earlier role of the run may be what makes it known.
    found = requirements.check([peer], FakeReader(), stopped=(), check_mode=True)
    assert found.notices == ("gpu1.example.com is not known.",)


def test_names_are_resolved_as_programs_do():
    assert requirements.HostReader().resolves("localhost")
    assert not requirements.HostReader().resolves("gpu1.invalid")
    assert not requirements.HostReader().resolves("." * 300)


def test_a_disk():
    desired = Requirement("disk", "{what} is on {found}.", path="/srv/x", min_bytes=2 << 30)
    assert said(desired, FakeReader(disk_bytes=2 << 30)) is None
    assert said(desired, FakeReader(disk_bytes=3 << 29)) == "/srv/x is on 1.5 GiB."


def test_a_disk_is_that_of_a_path_that_will_be_there(tmp_path):
    reader = requirements.HostReader()
    assert reader.disk_bytes(f"{tmp_path}/not/there") == reader.disk_bytes(str(tmp_path)) > 0


def test_a_mount():
    assert said(path("mount"), FakeReader(mounts=("/srv/x",))) is None
    assert said(path("mount"), FakeReader()) == "It is not a mount point."


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("paths", "names", "words"),
    [
        pytest.param([], [], None, id="absent"),
        pytest.param([there("directory")], [], None, id="empty"),
        pytest.param([there("directory")], ["a", "b", "c"], "a directory with a, b, c", id="some"),
        pytest.param([there("directory")], ["a", "b", "c", "d"], "a directory with a, b, c, 1 more", id="many"),
        pytest.param([there("file")], [], "a file", id="a-file"),
    ],
)
def test_an_empty_directory(paths, names, words, check_mode):
    assert said(path("empty"), FakeReader(paths, names=names), check_mode=check_mode) == (words and f"It is {words}.")


@pytest.mark.parametrize(("kind", "words"), [("path", "It is not there."), ("mount", "It is not a mount point.")])
@pytest.mark.parametrize("otherwise", ["fail", "wait"])
def test_what_may_come_is_a_notice_in_check_mode_only(kind, words, otherwise):
    missing = path(kind, otherwise=otherwise, ends_with="it" if otherwise == "wait" else None)
    checked = requirements.check([missing], FakeReader(), stopped=(), check_mode=True)
    assert checked == Checked((), (words,))
    if otherwise == "fail":
        assert said(missing, FakeReader()) == words


def test_all_that_fails_is_told_at_once_and_a_failure_is_no_wait():
    reader = FakeReader(listeners=[listener()])
    waits = path(otherwise="wait", ends_with="the mount")
    with pytest.raises(HostError) as caught:
        requirements.check([port(), waits, path("mount")], reader, stopped=(), check_mode=False)
    assert str(caught.value) == "Port 8001 is held by python3 (pid 12). It is not a mount point."
    assert caught.value.details["requires"] == ["Port 8001 is held by python3 (pid 12).", "It is not a mount point."]


def test_the_same_message_is_one_sentence():
    paths = ["/a", "/b", "/c", "/a"]
    missing = [Requirement("path", "Put {what} there, {found}.", path=one) for one in paths]
    with pytest.raises(HostError, match=r"^Put /a, /c there, not there\.$"):
        requirements.check(missing, FakeReader([there("file", path="/b")]), stopped=(), check_mode=False)


def test_what_is_found_is_no_placeholder():
    odd = Requirement("path", "{what}: {found}", path="/{found}")
    assert said(odd, FakeReader()) == "/{found}: not there"


def test_what_waits_says_what_ends_it():
    waits = [port(otherwise="wait", ends_with="the end of the job"), path(otherwise="wait", ends_with="a copy")]
    reader = FakeReader([there("file")], [listener()])
    checked = requirements.check(waits, reader, stopped=(), check_mode=False)
    why = "Port 8001 is held by python3 (pid 12)."
    assert checked == Checked(({"what": "port 8001", "why": why, "ends_with": "the end of the job"},))
    checked = requirements.check(waits, FakeReader(), stopped=(), check_mode=False)
    assert checked == Checked(({"what": "/srv/x", "why": "It is not there.", "ends_with": "a copy"},))


def test_a_real_host():
    reader = requirements.HostReader()
    with socket.socket() as server, tempfile.TemporaryDirectory() as folder:
        server.bind(("127.0.0.1", 0))
        server.listen()
        (found,) = reader.listeners(server.getsockname()[1])
        assert (found.address, found.pid) == ("127.0.0.1", os.getpid())
        assert reader.is_mount("/") and not reader.is_mount(folder)
        assert (reader.path(folder).kind, reader.path(f"{folder}/key").kind) == ("directory", "absent")
        assert reader.names(folder) == []
        with open(os.path.join(folder, "key"), "w"):
            pass
        assert reader.names(folder) == ["key"]


# In the engine


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def required(host, *found, **more):
    return dataclasses.replace(component(files=(host.file("etc/conf", b"new\n"),)), requires=found, **more)


def occupied(host, **more):
    (host.root / "data").mkdir()
    (host.root / "data/theirs").write_text("")
    return Requirement("empty", "The data folder is {found}.", path=str(host.root / "data"), **more)


@pytest.mark.parametrize("check", [False, True])
def test_a_refusal_changes_nothing_and_leaves_no_journal(host, check):
    (host.root / "etc").mkdir()
    demo = required(host, occupied(host))
    before = host.snapshot()
    with pytest.raises(HostError, match=r"^The data folder is a directory with theirs\.$"):
        host.ensure(demo, check=check, reach=lambda step: pytest.fail(f"{step} was reached"))
    assert host.snapshot() == before
    assert not any(os.path.lexists(name) for name in host.store.journal_paths)
    (host.root / "data/theirs").unlink()
    assert host.ensure(demo)["changed"] is True


@pytest.mark.parametrize("check", [False, True])
def test_a_wait_changes_nothing_and_says_so(host, check):
    (host.root / "etc").mkdir()
    demo = required(host, occupied(host, otherwise="wait", ends_with="an empty folder"))
    before = host.snapshot()
    result = host.ensure(demo, check=check, reach=lambda step: pytest.fail(f"{step} was reached"))
    why = "The data folder is a directory with theirs."
    assert result["pending"] == [{"what": str(host.root / "data"), "why": why, "ends_with": "an empty folder"}]
    assert (result["changed"], result["diff"], len(result["drift"])) == (False, [], 1)
    assert host.snapshot() == before
    (host.root / "data/theirs").unlink()
    result = host.ensure(demo, check=check)
    assert (result["changed"], result["pending"]) == (True, [])


def test_a_host_that_is_right_is_not_asked(host):
    (host.root / "etc").mkdir()
    host.ensure(component(files=(host.file("etc/conf", b"new\n"),)))
    assert host.ensure(required(host, occupied(host)))["changed"] is False


def test_in_check_mode_what_may_come_is_a_warning(host):
    (host.root / "etc").mkdir()
    missing = Requirement("path", "The model is {found}.", path=str(host.root / "model"))
    result = host.ensure(required(host, missing), check=True)
    assert (result["changed"], result["warnings"]) == (True, ["The model is not there."])
    with pytest.raises(HostError, match=r"^The model is not there\.$"):
        host.ensure(required(host, missing))


EXPORTER = {"pid": 12, "name": "prometheus-node-exporter", "user": "prometheus", "may_list": True}
TEXTFILE = Requirement(
    "textfile",
    "It is {found}.",
    {"several": "There are {found}.", "denied": "{found} cannot list {what}.", "written": "{what} is {found}."},
    path="/srv/x",
    name="a.prom",
)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        pytest.param({"paths": [there("directory")]}, None, id="nobody-reads-yet"),
        pytest.param({"paths": [there("directory")], "programs": [EXPORTER]}, None, id="one-reads"),
        pytest.param({"paths": [there("directory")], "programs": [{**EXPORTER, "name": "x"}]}, None, id="others"),
        pytest.param({"paths": [there("file")]}, "It is a file.", id="no-directory"),
        pytest.param({}, "It is not there.", id="not-there"),
        pytest.param(
            {"paths": [there("directory")], "programs": [EXPORTER, {**EXPORTER, "pid": 13, "name": "node_exporter"}]},
            "There are prometheus-node-exporter (pid 12) and node_exporter (pid 13).",
            id="two-read",
        ),
        pytest.param(
            {"paths": [there("directory")], "programs": [{**EXPORTER, "may_list": False}]},
            "prometheus cannot list /srv/x.",
            id="not-readable",
        ),
        pytest.param(
            {"paths": [there("directory")], "files": ["/srv/x/a.prom"]}, "/srv/x/a.prom is a file.", id="another-writes"
        ),
    ],
)
def test_a_directory_that_node_exporter_reads(host, words):
    assert said(TEXTFILE, FakeReader(**host)) == words


def test_in_check_mode_an_earlier_task_may_bring_the_directory_of_node_exporter():
    checked = requirements.check([TEXTFILE], FakeReader(), stopped=(), check_mode=True)
    assert checked == Checked(notices=("It is not there.",))


# The options


def parsed(**options):
    return requirements_of({"requires": [{"msg": "No.", **options}]})


def test_options_become_a_requirement():
    assert parsed(kind="port", port=8001, address="localhost", units=["a.service"]) == (
        Requirement("port", "No.", port=8001, address="localhost", units=("a.service",)),
    )
    assert parsed(kind="path", path="/srv/x", type="file", max_mode="0700", msg_for={"absent": "Gone."}) == (
        Requirement("path", "No.", {"absent": "Gone."}, path="/srv/x", type="file", max_mode=0o700),
    )
    assert parsed(kind="mount", path="/srv/x", otherwise="wait", ends_with="a mount") == (
        Requirement("mount", "No.", otherwise="wait", ends_with="a mount", path="/srv/x"),
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "port"}, "of kind port needs a port"),
        ({"kind": "empty"}, "of kind empty needs a path"),
        ({"kind": "port", "port": 0}, "must be 1 to 65535, not 0"),
        ({"kind": "port", "port": 1, "path": "/x"}, "of kind port has no path"),
        ({"kind": "mount", "path": "/x", "type": "file"}, "of kind mount has no type"),
        ({"kind": "path", "path": "/x", "units": ["a.service"]}, "of kind path has no units"),
        ({"kind": "path", "path": "/x", "max_mode": "9"}, "max_mode '9' of /x must be three or four octal digits"),
        ({"kind": "path", "path": "x"}, "path 'x' must be absolute"),
        ({"kind": "disk", "path": "/x"}, "of kind disk needs a min_bytes"),
        ({"kind": "path", "path": "/x", "min_bytes": 1}, "of kind path has no min_bytes"),
        (
            {"kind": "path", "path": "/x", "otherwise": "wait"},
            "must have ends_with with otherwise: wait, and only then",
        ),
        ({"kind": "path", "path": "/x", "ends_with": "x"}, "must have ends_with with otherwise: wait, and only then"),
        ({"kind": "path", "path": "/x", "msg_for": {"mode": "No."}}, "of kind path has no msg_for mode"),
        ({"kind": "textfile", "path": "/x"}, "of kind textfile needs a name"),
        ({"kind": "textfile", "path": "/x", "name": "a", "msg_for": {"absent": "No."}}, "has no msg_for absent"),
        ({"kind": "mount", "path": "/x", "msg_for": {"absent": "No."}}, "of kind mount has no msg_for absent"),
    ],
)
def test_options_that_are_wrong(options, words):
    with pytest.raises(HostError, match=words):
        parsed(**options)
