# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import datetime
import errno
import json
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper import plan, program, ready
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

DATA = pathlib.Path(__file__).parents[3] / "data"
NOW = datetime.datetime.now(datetime.timezone.utc)
LINE = {"source": "models", "transport": "journal", "unit": "mlops-model-test.service", "container": ""}


NONE = {"ca": None, "cert": None, "key": None, "host": "", "port": 0}


def written(**more):
    """A plan as the role writes it."""
    given = {
        "unit": "mlops-log-shipper.service",
        "receipts": "/nowhere",
        "complaints": "(?i)could not|cannot open",
        "lines": [LINE],
        "arrivals": ["models central", "models plain"],
        "certificates": [],
        "peers": [],
        "modules": {},
        "files": [],
        "state": "",
        "sinks": [],
        **more,
    }
    return json.dumps(given)


def planned(**more):
    return plan.read(written(**more), "plan.json")


class Host:
    """What systemctl and journalctl say."""

    def __init__(self, state="active", said="", exit_us=0, pid=0):
        self.state, self.said, self.exit_us, self.pid = state, said, exit_us, pid

    def __call__(self, *argv, **_more):
        if argv[0] == "journalctl":
            return Completed(argv, 0, self.said, "")
        shown = f"ActiveState={self.state}\nInvocationID=abc\n"
        if argv[2] == "--property=ActiveExitTimestampMonotonic":
            shown = f"ActiveExitTimestampMonotonic={self.exit_us}\n"
        if argv[2] == "--property=MainPID":
            shown = f"MainPID={self.pid}\n"
        return Completed(argv, 0, shown, "")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"unit": 1}'])
def test_what_is_no_plan_is_said(text):
    with pytest.raises(HostError, match="run the role again"):
        plan.read(text, "plan.json")


@pytest.mark.parametrize(
    ("host", "problems"),
    [
        (Host(said="start\nall is well"), []),
        (Host(state="failed"), ["mlops-log-shipper.service is failed"]),
        (
            Host(said="Could not create tcp listener\nstart\nCould not create tcp listener"),
            ["Could not create tcp listener"],
        ),
    ],
    ids=["good", "not-running", "without-a-part"],
)
def test_a_shipper_that_runs_without_a_part_of_it_is_found(host, problems):
    assert ready.unit_problems(planned(), host) == problems


def test_lines_arrive_or_are_named(tmp_path):
    written = []
    # syslog-ng has its socket there.
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(tmp_path / "ctl"))

    def write(fields):
        written.append(fields)
        (tmp_path / "central").write_text(f"{fields['MLOPS_TEST_MARK']} models central\nother models plain\n")

    times = iter(range(100))
    found = planned(receipts=str(tmp_path))
    lost = ready.lost_lines(found, "m1", write, 5, clock=lambda: next(times), sleep=lambda _s: None)
    assert lost == ["models plain"]
    assert [one["MLOPS_TEST_UNIT"] for one in written] == ["mlops-model-test.service"]
    assert ready.lost_lines(planned(receipts=str(tmp_path), arrivals=["models central"]), "m2", write, 5) == []


@pytest.mark.parametrize(
    ("said", "ago_s", "drained"),
    [
        ("start", 1, True),
        ("start", 11, False),
        ("action 'mlops_sink_a' suspended (module 'omrelp'), retry 0.", 1, False),
        ("action 'mlops_sink_a' suspended (x)\naction 'mlops_sink_a' resumed (x)", 1, True),
        ("action 'a' suspended\naction 'b' suspended\naction 'a' resumed", 1, False),
    ],
)
def test_whether_memory_was_empty_at_the_end(said, ago_s, drained):
    exit_us = int((time.clock_gettime(time.CLOCK_MONOTONIC) - ago_s) * 1e6)
    assert ready.drained(planned(), 10, Host(said=said, exit_us=exit_us)) is drained


def made(folder, name):
    """A certificate of 30 days, with its key."""
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", f"/CN={name}", "-days", "30", "-keyout", str(key), "-out", str(cert)),
        ],
        capture_output=True,
        check=True,
    )
    return str(cert), str(key)


def test_certificates_that_no_peer_would_accept_are_named(tmp_path):
    good, key = made(tmp_path, "good")
    _other, other_key = made(tmp_path, "other")
    lost = str(tmp_path / "lost.pem")

    def problems(days=1, **row):
        now = NOW + datetime.timedelta(days=days)
        return ready.certificate_problems(planned(certificates=[{**NONE, **row}]), now)

    assert problems(ca=good, cert=good, key=key) == []
    assert problems() == []
    assert "has expired" in problems(31, cert=good, key=key)[0]
    assert "begins at" in problems(-1, ca=good)[0]
    assert "do not fit together" in problems(cert=good, key=other_key)[0]
    assert f"{lost} cannot be read" in problems(ca=lost)[0]
    assert problems(ca=key) == [f"{key} has no certificate (PEM)"]


def test_a_locked_key_is_named_and_nobody_is_asked_for_its_password(tmp_path):
    cert, key = made(tmp_path, "good")
    locked = str(tmp_path / "locked.key")
    subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked], check=True)
    now = NOW + datetime.timedelta(days=1)
    (problem,) = ready.certificate_problems(planned(certificates=[{**NONE, "cert": cert, "key": locked}]), now)
    assert f"the private key {locked} do not fit together" in problem


def test_a_sink_that_its_authority_does_not_vouch_for_is_named(tmp_path):
    cert, key = made(tmp_path, "localhost")
    other, _key = made(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve():
            for _number in range(2):
                with (
                    contextlib.suppress(OSError),
                    server.accept()[0] as one,
                    context.wrap_socket(one, server_side=True),
                ):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        row = {**NONE, "host": "127.0.0.1", "port": port}
        assert ready.peer_problems(planned(certificates=[{**row, "ca": cert}]), 5) == []
        (problem,) = ready.peer_problems(planned(certificates=[{**row, "ca": other}]), 5)
        assert problem.startswith(f"{other} does not vouch for the certificate of 127.0.0.1:{port}: ")


@pytest.mark.parametrize("host", ["", "127.0.0.1", "nobody.invalid"], ids=["no-sink", "down", "not-resolved"])
def test_a_sink_that_does_not_answer_is_no_failure(tmp_path, host):
    cert, _key = made(tmp_path, "good")
    assert ready.peer_problems(planned(certificates=[{**NONE, "ca": cert, "host": host, "port": 1}]), 1) == []


def test_files_that_cannot_be_made_are_named(tmp_path):
    (tmp_path / "file").touch()
    assert ready.file_problems(planned(files=[str(tmp_path / "file"), str(tmp_path / "new/a.json")])) == []
    below, folder = tmp_path / "file/a.json", tmp_path
    assert ready.file_problems(planned(files=[str(below), str(folder)])) == [
        f"{below} cannot be made, as {tmp_path}/file is no directory",
        f"{folder} is a directory, and has to be a file or nothing",
    ]


def test_a_plan_that_is_not_there_is_a_sentence(tmp_path, capsys):
    assert program.main(["--plan", str(tmp_path / "plan.json"), "ready"]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/plan.json: No such file or directory\n"


@pytest.mark.parametrize("raw", [b"{}", b"", b"\xff\x00"])
def test_a_plan_that_is_damaged_is_a_sentence(tmp_path, capsys, raw):
    (tmp_path / "plan.json").write_bytes(raw)
    assert program.main(["--plan", str(tmp_path / "plan.json"), "ready"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path}/plan.json must be as the role log_shipper writes it, and is not (")
    assert said.endswith("): run the role again\n")


@pytest.mark.parametrize("verb", ["place", "stopped"])
def test_what_keeps_the_unit_from_its_place_is_in_its_log(tmp_path, monkeypatch, verb):
    """The unit's own output goes nowhere, where the shipper would repeat there what it logs."""
    written = []
    monkeypatch.setattr(program.Journal, "write", lambda _self, fields: written.append(fields))
    assert program.main(["--plan", str(tmp_path / "plan.json"), verb]) == 1
    assert [(one["MESSAGE"], one["PRIORITY"]) for one in written] == [
        (f"mlops-log-shipper {verb}: {tmp_path}/plan.json: No such file or directory", "3")
    ]


def test_a_full_disk_is_said_with_its_place(monkeypatch, tmp_path, capsys):
    """Seen on a full file system: the error of a write has no name of a file."""
    (tmp_path / "plan.json").write_text(written())

    def full(*_arguments, **_more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(program.place, "before_start", full)
    monkeypatch.setattr(program.Journal, "write", lambda _self, _fields: None)
    assert program.main(["--plan", str(tmp_path / "plan.json"), "place"]) == 1
    assert capsys.readouterr().err == "/var/spool/mlops-log-shipper: No space left on device\n"


def peer(host, port):
    return {"sink": "central", "host": host, "port": port}


def test_a_sink_that_cannot_be_reached_is_a_notice():
    with socket.create_server(("127.0.0.1", 0)) as server:
        up, down = peer("127.0.0.1", server.getsockname()[1]), peer("127.0.0.1", 1)
        found = ready.peer_notices(planned(peers=[up, down, peer("nobody.invalid", 6514)]), 5)
    refused, unknown = found
    assert refused == ("127.0.0.1:1, the sink central, does not answer (Connection refused): lines wait until it does")
    assert unknown.startswith("nobody.invalid:6514, the sink central, cannot be resolved (")


def test_a_module_that_is_missing_is_said_with_its_package():
    said = "could not load module 'lmnsd_gtls', errors: trying to load module lmnsd_gtls.so\n"
    modules = {"lmnsd_gtls": "rsyslog-gnutls", "other": "rsyslog-other"}
    assert ready.module_problems(planned(modules=modules), Host(said=said)) == [
        "lmnsd_gtls, which the package rsyslog-gnutls has, could not be loaded: install that package again"
    ]


@pytest.mark.parametrize("there", [True, False])
def test_a_module_that_it_would_miss_later_is_missing_now(tmp_path, there):
    """rsyslog loads what speaks TLS when it connects, and has nothing to say before."""
    modules = tmp_path / "lib/rsyslog"
    modules.mkdir(parents=True)
    if there:
        (modules / "lmnsd_gtls.so").touch()
    (tmp_path / "4711").mkdir()
    maps = (DATA / "rsyslog/8.2504/maps.txt").read_text()
    (tmp_path / "4711/maps").write_text(maps.replace("/usr/lib/x86_64-linux-gnu/rsyslog/", f"{modules}/"))
    found = ready.module_problems(planned(modules={"lmnsd_gtls": "rsyslog-gnutls"}), Host(pid=4711), tmp_path)
    missing = "lmnsd_gtls, which the package rsyslog-gnutls has, could not be loaded: install that package again"
    assert found == ([] if there else [missing])


# As rsyslog keeps it, and as it lies in the file of syslog-ng, among others and after an older one.
CURSOR = "s=0639d06da7474b1aa1a3bd3ea4d92d84;i={n:x};b=9d0e;m=1;t={time:x};x=9d1e".format


@pytest.mark.parametrize("in_file", ["{new}", "SLP4\0{old}\0\0{new}\0\0"])
@pytest.mark.parametrize(
    ("first", "then", "is_behind"),
    [(100, 200, True), (100, 100, False), (900, 1100, False), (1100, 1200, False)],
    ids=["on-its-way", "does-not-move", "has-passed-it", "is-past-it"],
)
def test_a_shipper_that_reads_older_lines_is_on_its_way(tmp_path, in_file, first, then, is_behind):
    state = tmp_path / "state"

    def at(time_us):
        state.write_text(in_file.replace("{old}", CURSOR(n=1, time=50)).replace("{new}", CURSOR(n=2, time=time_us)))

    at(first)
    before = ready.place_us(planned(state=str(state)))
    at(then)
    assert ready.behind(before, ready.place_us(planned(state=str(state))), 1000) is is_behind


def test_without_a_place_nobody_is_on_the_way(tmp_path):
    assert ready.place_us(planned(state="")) is None
    assert ready.place_us(planned(state=str(tmp_path / "none"))) is None
    assert not ready.behind(None, 10, 1000)


@pytest.mark.parametrize(
    ("lost", "notices", "behind", "status", "said"),
    [
        ([], [], False, 0, ""),
        ([], ["a is down"], False, 0, "warning: a is down\n"),
        (
            ["models a"],
            ["a is down"],
            False,
            0,
            "warning: a is down\n"
            "warning: test lines wait behind others, and it is not known whether they come as far as models a\n",
        ),
        (
            ["models a"],
            [],
            True,
            0,
            "warning: it still reads what was logged before, and test lines have not come as far as models a yet\n",
        ),
        (["models a"], [], False, 1, "Test lines in the journal did not come as far as (source and sink): models a. "),
    ],
    ids=["all-well", "a-sink-is-down", "and-lines-wait-for-it", "older-lines-come-first", "lost"],
)
def test_what_is_no_failure_of_the_host_is_a_warning(
    tmp_path, monkeypatch, capsys, lost, notices, behind, status, said
):
    (tmp_path / "plan.json").write_text(written())
    for name, answer in {"unit_problems": [], "peer_notices": notices, "lost_lines": lost, "behind": behind}.items():
        monkeypatch.setattr(program.ready, name, lambda *_arguments, answer=answer: answer)
    assert program.main(["--plan", str(tmp_path / "plan.json"), "ready"]) == status
    err = capsys.readouterr().err
    assert err == said if status == 0 else err.startswith(said)
