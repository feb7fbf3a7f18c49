# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is there whole and as its sum says, or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import tarfile

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._http import Response, Unreachable
from ansible_collections.mlops.hosts.plugins.module_utils._release import paths, plan
from ansible_collections.mlops.hosts.plugins.module_utils._release import release as room
from ansible_collections.mlops.hosts.plugins.module_utils._release.fast_check import fast_check

URL = "https://vendor.example.org/exporter-1.2.0.tar.gz"


def entry(name, content=b"", **more):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o755
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def packed(*entries, mode="w:gz"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


ARCHIVE = packed(
    entry("exporter-1.2.0", type=tarfile.DIRTYPE),
    entry("exporter-1.2.0/exporter", b"#!/bin/sh\n", uid=1000),
    entry("exporter-1.2.0/LICENSE", b"free", mode=0o666),
    entry("exporter-1.2.0/latest", type=tarfile.SYMTYPE, linkname="exporter"),
)


class Web:
    """Answers with these in turn; an exception is raised, a number is a status."""

    def __init__(self, *answers):
        self.answers, self.waits = list(answers), []

    @contextlib.contextmanager
    def fetch(self, url, *, timeout_s):
        assert (url, timeout_s) == (URL, 5)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body = (answer, b"") if isinstance(answer, int) else (200, answer)
        length = len(ARCHIVE) if body in ARCHIVE else len(body)  # of one that was cut, too
        yield Response(status, {"content-length": str(length if status == 200 else 0)}, io.BytesIO(body))

    @property
    def host(self):
        return room.RunEnvironment(self.fetch, clock=lambda: 0.0, sleep=self.waits.append, timeout_s=5, retries=2)


def params(tmp_path, archive=ARCHIVE, **more):
    return {
        "name": "exporter",
        "state": "present",
        "version": "1.2.0",
        "url": URL,
        "sha256": hashlib.sha256(archive).hexdigest(),
        "programs": ["exporter"],
        "base": str(tmp_path / "releases"),
        **more,
    }


def ensured(given, *answers):
    return room.ensure(plan.desired(given), Web(*answers).host)


def asked(given, *, check_mode):
    return fast_check(given, run=None, check_mode=check_mode)


def test_it_is_unpacked_without_its_own_folder_and_then_nobody_is_asked(tmp_path):
    given = params(tmp_path)
    result = ensured(given, ARCHIVE)
    assert result["changed"] and result["drift"] == [
        {"kind": "release", "item": "exporter 1.2.0", "attribute": "version", "want": "1.2.0", "have": "absent"}
    ]
    there = result["path"]
    assert there == paths.path(given["base"], "exporter", "1.2.0", given["sha256"])
    assert sorted(os.listdir(there)) == [paths.MARKER, "LICENSE", "exporter", "latest"]
    modes = {name: oct(os.stat(f"{there}/{name}").st_mode & 0o777) for name in ("exporter", "LICENSE")}
    assert modes == {"exporter": "0o755", "LICENSE": "0o644"}
    assert {os.stat(f"{there}/{name}").st_uid for name in os.listdir(there)} == {os.getuid()}
    assert sorted(os.listdir(given["base"])) == [".lock", os.path.basename(there)]
    assert ensured(given)["changed"] is False
    assert asked(given, check_mode=False) == {"changed": False, "path": there, "removed": [], "drift": []}


def test_check_mode_says_what_would_come(tmp_path):
    given = params(tmp_path)
    assert asked(given, check_mode=False) is None
    assert asked(given, check_mode=True)["changed"] is True
    assert not (tmp_path / "releases").exists()


def test_the_version_before_stays_and_earlier_ones_go(tmp_path):
    base = None
    for version in ("1.2.0", "1.3.0", "1.10.0"):
        result = ensured(params(tmp_path, version=version), ARCHIVE)
        base = os.path.dirname(result["path"])
        os.utime(f"{result['path']}/{paths.MARKER}", ns=(0, int(version.split(".")[1])))
    assert [path.rsplit("-", 2)[1] for path in result["removed"]] == ["1.2.0"]
    assert result["drift"][0]["have"] == "1.3.0"
    assert {name.split("-")[1] for name in os.listdir(base) if name != ".lock"} == {"1.3.0", "1.10.0"}
    other = params(tmp_path, name="exporter-lite", version="9")
    ensured(other, ARCHIVE)
    gone = ensured(params(tmp_path, state="absent", version=None, url=None, sha256=None))
    assert len(gone["removed"]) == 2 and gone["path"] is None
    assert [name.rsplit("-", 2)[0] for name in os.listdir(base) if name != ".lock"] == ["exporter-lite"]
    assert ensured(params(tmp_path, state="absent"))["changed"] is False


def test_a_removal_that_is_killed_is_ended_by_the_next_run(tmp_path, monkeypatch):
    given = params(tmp_path)
    base = os.path.dirname(ensured(given, ARCHIVE)["path"])

    def killed(path):
        os.remove(f"{path}/exporter")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(room.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            ensured({**given, "state": "absent"})
    assert asked(given, check_mode=True)["drift"][0]["have"] == "absent"
    ensured(given, ARCHIVE)
    assert len([name for name in os.listdir(base) if name != ".lock"]) == 1


def test_another_archive_of_the_same_version_is_another_release(tmp_path):
    other = packed(entry("exporter", b"other"))
    first, second = (
        ensured(params(tmp_path), ARCHIVE),
        ensured(params(tmp_path, other), other),
    )
    assert first["path"] != second["path"]


def test_a_lost_program_makes_it_come_again(tmp_path):
    given = params(tmp_path)
    there = ensured(given, ARCHIVE)["path"]
    os.remove(f"{there}/exporter")
    assert asked(given, check_mode=True)["drift"][0]["have"] == "without exporter"
    assert ensured(given, ARCHIVE)["changed"] is True
    assert os.access(f"{there}/exporter", os.X_OK)


def test_what_a_killed_run_has_left_is_no_release_and_goes(tmp_path):
    given = params(tmp_path)
    there = paths.path(given["base"], "exporter", "1.2.0", given["sha256"])
    os.makedirs(f"{given['base']}/.exporter.123/made")
    os.makedirs(there)  # a removal that was killed: without its marker
    assert asked(given, check_mode=True)["drift"][0]["have"] == "absent"
    ensured(given, ARCHIVE)
    assert sorted(os.listdir(given["base"])) == [".lock", os.path.basename(there)]


@pytest.mark.parametrize(
    ("answers", "waits"),
    [
        ((Unreachable("refused"), 503, ARCHIVE), [1.0, 2.0]),
        ((ARCHIVE[:-9], ARCHIVE), [1.0]),
    ],
)
def test_what_did_not_come_whole_is_asked_for_again(tmp_path, answers, waits):
    web = Web(*answers)
    assert room.ensure(plan.desired(params(tmp_path)), web.host)["changed"]
    assert web.waits == waits


BAD = ARCHIVE[:-1] + b"\1"


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ((BAD,), f"and has {hashlib.sha256(BAD).hexdigest()}; set sha256 to what the vendor lists"),
        ((404,), "was answered with status 404; set url to an archive that is there"),
        ((503, 503, 503), "could not be fetched, tried 3 times: the server answered with status 503"),
    ],
)
def test_what_is_refused_leaves_nothing(tmp_path, answers, says):
    given = params(tmp_path)
    with pytest.raises(HostError) as refused:
        ensured(given, *answers)
    assert says in str(refused.value)
    assert os.listdir(given["base"]) == [".lock"]


@pytest.mark.parametrize(
    ("archive", "says"),
    [
        pytest.param(
            packed(entry("LICENSE")), "must have the programs exporter, and has LICENSE; set url to another", id="other"
        ),
        pytest.param(b"<html>Not found</html>", "cannot be unpacked: it must be an archive of tar", id="page"),
        pytest.param(packed(entry("../exporter")), "below its own folder only, and has '../exporter'", id="above"),
        pytest.param(
            packed(entry("exporter", type=tarfile.SYMTYPE, linkname="../elsewhere")),
            "must have links below its own folder only, and 'exporter' is one to elsewhere",
            id="link",
        ),
        pytest.param(
            packed(entry("exporter", type=tarfile.FIFOTYPE)),
            "must have files, folders and symbolic links only, and 'exporter' is something else",
            id="pipe",
        ),
    ],
)
def test_archives_that_are_refused(tmp_path, archive, says):
    given = params(tmp_path, archive)
    with pytest.raises(HostError) as refused:
        ensured(given, archive)
    assert says in str(refused.value)
    assert os.listdir(given["base"]) == [".lock"]


def test_a_full_disk_is_a_sentence(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(room, "unpack", full)
    given = params(tmp_path)
    with pytest.raises(HostError, match=r"no space was left in .* what came of it was removed"):
        ensured(given, ARCHIVE)
    assert os.listdir(given["base"]) == [".lock"]


def test_two_runs_at_once_make_it_once(tmp_path, monkeypatch):
    given, locked = params(tmp_path), room.locked

    @contextlib.contextmanager
    def after_another(*args, **options):
        monkeypatch.setattr(room, "locked", locked)
        ensured(given, ARCHIVE)
        with locked(*args, **options):
            yield

    monkeypatch.setattr(room, "locked", after_another)
    assert ensured(given)["changed"] is False


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"name": "a/b"}, "name must be letters, digits, _ and -"),
        ({"name": "exporter-2"}, "name must be letters, digits, _ and -"),
        ({"version": "../1"}, "version must be letters, digits and '.'"),
        ({"sha256": "abc"}, "sha256 must be 64 digits of hexadecimal in small letters"),
        ({"url": "ftp://vendor.example.org/x"}, "url must be an address as https://HOST/PATH without a login"),
        ({"base": "releases"}, "base must be an absolute path of a folder"),
        ({"programs": ["../x"]}, "programs must be paths in the release"),
    ],
)
def test_options_that_are_invalid(tmp_path, more, says):
    with pytest.raises(HostError) as refused:
        plan.desired(params(tmp_path, **more))
    assert says in str(refused.value)


def test_a_base_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "releases").write_text("")
    with pytest.raises(HostError, match="base must be a folder, and .* is a file; move it away"):
        plan.make(plan.desired(params(tmp_path)))
