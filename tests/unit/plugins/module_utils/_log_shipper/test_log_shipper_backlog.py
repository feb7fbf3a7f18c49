# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For which sinks lines wait, in a fake journal with an entry each second, and whose lines a change would lose."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper import backlog
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper.backlog import Waiting
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper.plan import Flow, Plan, Sink, Way
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

CHAT = Flow("", "mlops-chat.service", "", 7, False, (Way(7, (), ()),))
CRON = Flow("", "cron.service", "", 7, False, (Way(7, (), ()),))
SECOND = 1_000_000
# Of rsyslogd 8.2302, as the journal has it.
STARTED = '{at}.0 sender rsyslogd[7]: [origin software="rsyslogd" swVersion="8.2302.0" x-pid="7" x-info="x"] start'
TURNED = "{at}.0 sender rsyslogd[7]: action 'mlops_sink_{sink}' {word} (module 'omrelp'), retry 0. There should be"


def cursor(second):
    return f"s={'a' * 32};i={second:x};b={'b' * 32};m={second:x};t={second * SECOND:x};x={second:x}"


def entry(second, **more):
    return {"__CURSOR": cursor(second), "_SYSTEMD_UNIT": "mlops-chat.service", "PRIORITY": "6", **more}


class FakeHost:
    """Programs that print what is given, a journal, and a clock that only ``sleep`` moves."""

    def __init__(self, spool, *, now=1000, state="active", log=(), journal=(), stats=()):
        self.spool, self.now, self.state = spool, now, state
        self.log, self.journal, self.stats = log, journal, list(stats)

    def run(self, *argv, **_more):
        if argv[0] == "systemctl":
            return Completed(argv, 0, f"ActiveState={self.state}\n", "")
        if argv[0] == "journalctl":
            return Completed(argv, 0, "\n".join(self.log), "")
        said = self.stats.pop(0) if len(self.stats) > 1 else self.stats[0] if self.stats else None
        return Completed(argv, 1, "", "no such file") if said is None else Completed(argv, 0, said, "")

    @contextlib.contextmanager
    def entries(self, start):
        since = float(start.partition("@")[2])
        yield iter(
            [one for one in self.journal if int(one["__CURSOR"].split("t=")[1].split(";")[0], 16) >= since * SECOND]
        )

    def sleep(self, seconds):
        self.now += seconds

    @property
    def asked(self):
        return backlog.Host(self.run, self.entries, self.spool, lambda: self.now, self.sleep)


def planned(spool, *sinks, provider="rsyslog"):
    state = {"rsyslog": f"{spool}/journal.state", "syslog_ng": f"{spool}/syslog-ng.persist"}.get(provider, "")
    return Plan("u.service", str(spool), "", (), (), (), (), (), {}, state, sinks, provider)


CENTRAL, PLAIN = Sink("central", 100, (CHAT,), ""), Sink("plain", 100, (CHAT,), "syslog_tls 2")


def waiting(host, *sinks, provider="rsyslog"):
    return backlog.waiting(planned(host.spool, *sinks, provider=provider), sinks, host.asked)


@pytest.fixture
def spool(tmp_path):
    (tmp_path / "running").touch()
    return tmp_path


def test_lines_since_a_sink_takes_none_wait_for_it(spool):
    log = [STARTED.format(at=100), TURNED.format(at=500, sink="central", word="suspended")]
    journal = [entry(second) for second in (300, 499, 500, 501, 502)] + [entry(503, _SYSTEMD_UNIT="cron.service")]
    host = FakeHost(spool, log=log, journal=journal)
    assert waiting(host, CENTRAL, PLAIN) == [Waiting("central", 4, 500 * SECOND)]


def test_a_sink_that_takes_lines_again_has_none(spool):
    log = [TURNED.format(at=500 + n, sink="central", word=word) for n, word in enumerate(("suspended", "resumed"))]
    assert waiting(FakeHost(spool, log=log, journal=[entry(500)]), CENTRAL) == []


def test_a_sink_that_was_down_before_a_restart_is_down_since_then(spool):
    down = TURNED.format(at=500, sink="central", word="suspended")
    log = [down, STARTED.format(at=600), TURNED.format(at=605, sink="central", word="suspended")]
    journal = [entry(second) for second in range(500, 510)]
    assert waiting(FakeHost(spool, log=log, journal=journal), CENTRAL) == [Waiting("central", 10, 500 * SECOND)]
    # It took lines for a while.
    later = [*log[:2], TURNED.format(at=900, sink="central", word="suspended")]
    assert waiting(FakeHost(spool, log=later, journal=journal), CENTRAL) == [Waiting("central", 1, 900 * SECOND)]
    # It has had nothing to send since.
    assert waiting(FakeHost(spool, log=log[:2], journal=journal), CENTRAL) == []


def test_what_rsyslog_may_have_read_since_it_wrote_its_place_does_not_wait(spool):
    (spool / "journal.state").write_text(cursor(100))
    assert waiting(FakeHost(spool, journal=[entry(second) for second in range(101, 601)]), CENTRAL) == []


def test_what_it_has_not_read_waits_unless_it_is_read_soon(spool):
    (spool / "journal.state").write_text(cursor(100))
    journal = [entry(second) for second in range(101, 701)]
    host = FakeHost(spool, journal=journal)
    assert waiting(host, CENTRAL, PLAIN) == [Waiting("central", 100), Waiting("plain", 100)]
    host.sleep = lambda _seconds: (spool / "journal.state").write_text(cursor(600))
    assert waiting(host, CENTRAL, PLAIN) == []


def test_of_one_that_does_not_run_all_that_it_has_not_read_waits(spool):
    (spool / "running").unlink()
    (spool / "journal.state").write_text(cursor(100))
    journal = [entry(second) for second in range(100, 105)]
    assert waiting(FakeHost(spool, state="inactive", journal=journal), CENTRAL) == [Waiting("central", 4)]


def test_lines_on_disk_wait(spool):
    (spool / "plain.00000001").write_text("<Obj:1:msg:1:\n+iSeverity:2:1:6:\n>End\n.\n" * 3)
    (spool / "plain.qi").write_text("<Obj:1:msg:1:\n")
    assert waiting(FakeHost(spool, state="failed"), CENTRAL, PLAIN) == [Waiting("plain", 3)]
    # Of a sink that takes lines, the file is what has been sent.
    assert waiting(FakeHost(spool), CENTRAL, PLAIN) == []


def test_test_lines_of_the_role_are_sent_nowhere(spool):
    log = [TURNED.format(at=500, sink="central", word="suspended")]
    journal = [entry(501, MLOPS_TEST_MARK="x"), entry(502), entry(503)]
    assert waiting(FakeHost(spool, log=log, journal=journal), CENTRAL)[0].lines == 2


def counters(**sinks):
    """``syslog-ng-ctl stats``, by sink: how many are queued, processed and written."""
    rows = ["SourceName;SourceId;SourceInstance;State;Type;Number"]
    for name, numbers in sinks.items():
        for kind, number in zip(("queued", "processed", "written", "dropped"), (*numbers, 0)):
            rows.append(f"dst.http;mlops_sink_{name}#0;http,http://loghost:8080/;a;{kind};{number}")
    return "\n".join(rows) + "\n"


def test_of_syslog_ng_sinks_that_send_nothing_are_told(spool):
    (spool / "syslog-ng.persist").write_bytes(b"SLP4\0" + cursor(100).encode() + b"\0 \0")
    journal = [entry(second) for second in range(100, 111)]
    stats = [
        counters(central=(5, 5, 0), plain=(7, 3, 3), other=(4, 4, 0)),
        counters(central=(5, 5, 0), plain=(7, 3, 3), other=(4, 8, 4)),
    ]
    host = FakeHost(spool, journal=journal, stats=stats)
    other = dataclasses.replace(CENTRAL, name="other")
    found = waiting(host, CENTRAL, PLAIN, other, provider="syslog_ng")
    # The place in the journal is that of the sinks that block, and "other" has sent what it had.
    assert found == [Waiting("central", 10), Waiting("plain", 7)]


def test_what_is_in_a_request_waits(spool):
    """As 4.8 counts with a server that is down: none is queued while one is made, and on disk are those of before."""
    stats = [counters(plain=(0, 604, 302)), counters(plain=(302, 604, 302))]
    assert waiting(FakeHost(spool, stats=stats), PLAIN, provider="syslog_ng") == [Waiting("plain", 302)]
    stats = [counters(plain=(0, 0, 0)), counters(plain=(302, 0, 0)), counters(plain=(0, 0, 0))]
    assert waiting(FakeHost(spool, stats=stats), PLAIN, provider="syslog_ng") == [Waiting("plain", 302)]


def test_what_is_on_its_way_is_no_backlog(spool):
    stats = [counters(central=(5, 5, 0)), counters(central=(2, 5, 3)), counters(central=(6, 11, 5))]
    host = FakeHost(spool, stats=stats)
    assert waiting(host, CENTRAL, provider="syslog_ng") == [] and host.now < 1000 + backlog._ON_THEIR_WAY_S


def test_a_syslog_ng_that_does_not_tell_may_have_some_for_each(spool):
    assert waiting(FakeHost(spool), CENTRAL, PLAIN, provider="syslog_ng") == [
        Waiting("central", None),
        Waiting("plain", None),
    ]


@pytest.mark.parametrize(("state", "found"), [("active", ["dead"]), ("failed", ["dead", "central"])])
def test_of_the_others_sinks_that_do_not_answer_are_told(spool, state, found):
    dead = Sink("dead", 1, (CHAT,), "loki 1")
    host = FakeHost(spool, state=state)
    peers = ({"sink": "dead", "host": "127.0.0.1", "port": 1},)
    vector = dataclasses.replace(planned(spool, dead, CENTRAL, provider="vector"), peers=peers)
    assert backlog.waiting(vector, vector.sinks, host.asked) == [Waiting(name, None) for name in found]


def changed(**more):
    return (dataclasses.replace(CENTRAL, **more), PLAIN)


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ((CENTRAL, PLAIN), (CENTRAL, PLAIN), []),
        ((CENTRAL, PLAIN), (CENTRAL,), ["plain"]),
        ((CENTRAL, PLAIN), (PLAIN,), ["central"]),
        # A new name: what waits in the journal goes there, what is on disk does not.
        ((CENTRAL, PLAIN), changed(name="renamed"), []),
        ((CENTRAL, PLAIN), changed(name="renamed", flows=(CRON,)), ["central"]),
        ((CENTRAL, PLAIN), changed(name="renamed", buffer="relp_tls 1"), ["central"]),
        ((CENTRAL, PLAIN), (CENTRAL, dataclasses.replace(PLAIN, name="renamed")), ["plain"]),
        # Another type or number: nobody reads the buffer.
        ((CENTRAL, PLAIN), (CENTRAL, dataclasses.replace(PLAIN, buffer="http 2")), ["plain"]),
        ((CENTRAL, PLAIN), (CENTRAL, dataclasses.replace(PLAIN, buffer="")), ["plain"]),
        ((CENTRAL, PLAIN), changed(buffer="relp_tls 1"), []),
        # A plan of before it was noted.
        ((dataclasses.replace(PLAIN, buffer=None),), (PLAIN,), []),
        ((dataclasses.replace(PLAIN, buffer=None),), (), ["plain"]),
    ],
)
def test_whose_lines_a_change_loses(spool, old, new, lost):
    assert [sink.name for sink in backlog.lost(planned(spool, *old), planned(spool, *new))] == lost


def test_another_provider_and_none_lose_all(spool):
    old = planned(spool, CENTRAL, PLAIN)
    assert backlog.lost(old, None) == [CENTRAL, PLAIN]
    assert backlog.lost(old, planned(spool, CENTRAL, PLAIN, provider="vector")) == [CENTRAL, PLAIN]


WRITTEN = {
    **{"unit": "u.service", "receipts": "", "complaints": "", "lines": [], "arrivals": [], "certificates": []},
    **{"peers": [], "modules": {}, "files": [], "sinks": [{"name": "central", "memory": 1, "flows": []}]},
}


def test_without_a_shipper_nothing_waits(spool):
    assert backlog.collect(spool / "plan.json", None, FakeHost(spool).asked) == {"provider": None, "sinks": []}


def test_a_plan_of_before_has_a_provider_too(spool):
    path = spool / "plan.json"
    path.write_text(json.dumps({**WRITTEN, "state": f"{spool}/journal.state"}))
    host = FakeHost(spool, log=[TURNED.format(at=500, sink="central", word="suspended")])
    sinks = [{"name": "central", "lines": 1, "since": "1970-01-01T00:08:20Z"}]
    assert backlog.collect(path, None, host.asked) == {"provider": "rsyslog", "sinks": sinks}
    desired = {**WRITTEN, "state": "", "provider": "rsyslog"}
    assert backlog.collect(path, desired, host.asked) == {"provider": "rsyslog", "sinks": []}
    assert backlog.collect(path, {**desired, "provider": "vector"}, host.asked)["sinks"] == sinks


@pytest.mark.parametrize("raw", [b"{}", b"", b"\xff\x00", b"[]", b'{"sinks": 1}'])
def test_what_is_no_plan_is_said_and_the_role_can_write_it_anew(spool, raw):
    path, host = spool / "plan.json", FakeHost(spool)
    path.write_bytes(raw)
    with pytest.raises(HostError, match="run the role again"):
        backlog.collect(path, None, host.asked)
    desired = {**WRITTEN, "state": "", "provider": "rsyslog"}
    assert backlog.collect(path, desired, host.asked) == {"provider": None, "sinks": []}
