# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a shipper goes on in a journal of numbered entries, of which every tenth is for a sink."""

from __future__ import annotations

import contextlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper import place
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper.plan import Flow, Plan, Sink, Way

SERIES = "a" * 32


def cursor(number, series=SERIES):
    return f"s={series};i={number:x};b={'b' * 32};m={number:x};t={number:x};x={number:x}"


def entry(number, series=SERIES):
    unit = "mlops-model-chat.service" if number % 10 == 0 else "cron.service"
    return {"__CURSOR": cursor(number, series), "_SYSTEMD_UNIT": unit, "MESSAGE": f"line {number}", "PRIORITY": "6"}


class FakeJournal:
    """Entries ``first`` to ``last``; a cursor whose entry is gone is a place between those that are left."""

    def __init__(self, first, last, series=SERIES):
        self.entries = [entry(number, series) for number in range(first, last + 1)]

    @contextlib.contextmanager
    def __call__(self, at, *, reverse):
        number = place.place(at).number
        if reverse:
            yield iter([one for one in reversed(self.entries) if place.place(one["__CURSOR"]).number <= number])
        else:
            yield iter([one for one in self.entries if place.place(one["__CURSOR"]).number >= number])


CHAT = Flow("", "mlops-model-.*", "", 7, False, (Way(7, (), ("healthz",)),))


@pytest.fixture
def plan(tmp_path):
    sinks = (Sink("central", 100, (CHAT,)), Sink("unused", 5000, ()))
    return Plan("u.service", "", "", (), (), (), (), (), {}, str(tmp_path / "journal.state"), sinks)


@pytest.fixture
def spool(tmp_path):
    return tmp_path


def started(plan, spool, journal):
    said = place.before_start(plan, spool, journal)
    state = spool / "journal.state"
    return said, place.place(state.read_text()).number if state.exists() else None


def test_the_first_start_has_no_place(plan, spool):
    assert started(plan, spool, FakeJournal(1, 10)) == ([], None)
    assert (spool / "running").exists()


def test_after_a_clean_end_it_goes_on_where_it_was(plan, spool):
    (spool / "journal.state").write_text(cursor(50_000))
    place.before_start(plan, spool, FakeJournal(1, 60_000))
    place.after_stop(plan, spool, clean=True)
    assert started(plan, spool, FakeJournal(1, 60_000)) == ([], 50_000)


def test_after_a_kill_it_reads_again_what_may_have_been_in_memory(plan, spool):
    (spool / "journal.state").write_text(cursor(10_000))
    place.before_start(plan, spool, FakeJournal(1, 60_000))
    (spool / "journal.state").write_text(cursor(50_000))
    place.after_stop(plan, spool, clean=False)
    said, number = started(plan, spool, FakeJournal(1, 60_000))
    assert said == ["It did not end by itself; 2300 lines that may have been in memory are read again."]
    # Each tenth entry is for the sink, and the one at the place is not read again.
    again = [one for one in range(number + 1, 50_001) if one % 10 == 0]
    assert len(again) >= 100 + place.ON_THEIR_WAY - 1
    assert number == 50_000 - 2299 * 10


def test_what_it_had_not_read_itself_was_not_in_its_memory(plan, spool):
    """Where lines of a sink are rare, each end would have the others get again all that the journal has."""
    (spool / "journal.state").write_text(cursor(49_000))
    place.before_start(plan, spool, FakeJournal(1, 60_000))
    (spool / "journal.state").write_text(cursor(50_000))
    said, number = started(plan, spool, FakeJournal(1, 60_000))
    assert (said, number) == (
        ["It did not end by itself; 100 lines that may have been in memory are read again."],
        49_000,
    )
    # Killed once more before it had read that far: what it was to read again is no less lost.
    assert started(plan, spool, FakeJournal(1, 60_000))[1] == 49_000


@pytest.mark.parametrize(
    ("left", "may_have_been"),
    [
        ("central.00000001", True),
        ("central.segq", True),
        ("central.da-engine", False),
        ("central.bad.20261201122806", False),
        ("unused-as-well.qi", False),
    ],
)
def test_what_a_buffer_on_disk_had_may_have_been_in_memory(plan, spool, left, may_have_been):
    (spool / left).mkdir()
    (spool / "journal.state").write_text(cursor(49_000))
    place.before_start(plan, spool, FakeJournal(1, 60_000))
    (spool / "journal.state").write_text(cursor(50_000))
    assert (started(plan, spool, FakeJournal(1, 60_000))[1] < 49_000) is may_have_been


def test_a_journal_that_was_removed_meanwhile_is_read_from_its_beginning(plan, spool):
    (spool / "journal.state").write_text(cursor(49_000, "c" * 32))
    place.before_start(plan, spool, FakeJournal(1, 60_000))
    (spool / "journal.state").write_text(cursor(50_000))
    assert started(plan, spool, FakeJournal(49_500, 60_000))[1] == 49_500


def test_a_host_that_went_down_counts_as_a_kill(plan, spool):
    (spool / "journal.state").write_text(cursor(10_000))
    place.before_start(plan, spool, FakeJournal(1, 60_000))
    (spool / "journal.state").write_text(cursor(50_000))
    # Nothing ran after the stop.
    assert started(plan, spool, FakeJournal(1, 60_000))[1] < 50_000


def test_a_journal_that_begins_later_is_read_from_its_beginning(plan, spool):
    (spool / "journal.state").write_text(cursor(50_000))
    (spool / "running").touch()
    assert started(plan, spool, FakeJournal(49_000, 60_000))[1] == 49_000


def test_the_search_ends_in_time_and_says_so(plan, spool):
    """systemd would end a start that takes longer, and begin it again for ever."""
    (spool / "journal.state").write_text(cursor(50_000))
    (spool / "running").touch()
    # A tenth of a second an entry.
    times = iter(range(100_000))
    said = place.before_start(plan, spool, FakeJournal(1, 60_000), clock=lambda: next(times) / 10)
    assert place.place((spool / "journal.state").read_text()).number == 50_000 - place.SEARCH_S * 10 + 1
    assert said == [
        "It did not end by itself; 45 lines that may have been in memory are read again.",
        "The search for such lines ended after 45 s: older ones may be lost.",
    ]


@pytest.mark.parametrize("lost", [None, "", "no cursor\n"])
def test_a_place_that_was_lost_is_taken_from_the_copy(plan, spool, lost):
    (spool / "journal.state").write_text(cursor(70))
    place.after_stop(plan, spool, clean=True)
    (spool / "journal.state").unlink()
    if lost is not None:
        (spool / "journal.state").write_text(lost)
    said, number = started(plan, spool, FakeJournal(1, 100))
    assert number == 70
    assert said == ["The place in the journal was lost; going on at the last one that is known."]


@pytest.mark.parametrize(
    ("first", "series", "said"),
    [
        pytest.param(71, SERIES, [], id="the-place-itself-was-removed"),
        pytest.param(91, SERIES, ["20 entries of the journal were removed before they were read."], id="counted"),
        pytest.param(
            91,
            "c" * 32,
            ["Entries of the journal were removed before they were read; how many is not known."],
            id="another-journal",
        ),
        pytest.param(60, SERIES, [], id="nothing"),
    ],
)
def test_what_was_removed_before_it_was_read_is_counted_and_said(plan, spool, first, series, said):
    (spool / "journal.state").write_text(cursor(70))
    assert started(plan, spool, FakeJournal(first, 100, series)) == (said, 70)


@pytest.mark.parametrize(
    ("changed", "taken"),
    [
        ({}, True),
        ({"MESSAGE": "GET /healthz"}, False),
        ({"_SYSTEMD_UNIT": "cron.service"}, False),
        ({"_SYSTEMD_UNIT": "init.scope", "_PID": "1", "UNIT": "mlops-model-chat.service"}, True),
        ({"MESSAGE": [104, 105]}, True),
        ({"MESSAGE": None}, True),
        ({"PRIORITY": None}, True),
    ],
)
def test_which_entries_a_flow_takes(changed, taken):
    assert CHAT.takes({**entry(10), **changed}) is taken


def test_a_flow_goes_by_transport_container_severity_and_events():
    every = (Way(7, (), ()),)
    assert Flow("kernel", "", "", 4, False, every).takes({"_TRANSPORT": "kernel", "PRIORITY": "3"})
    assert not Flow("kernel", "", "", 4, False, every).takes({"_TRANSPORT": "kernel", "PRIORITY": "6"})
    assert not Flow("kernel", "", "", 7, False, every).takes({"_TRANSPORT": "stdout"})
    assert Flow("", "", "chat-.", 7, False, every).takes({"CONTAINER_NAME": "chat-1"})
    assert not Flow("", "", "chat-.", 7, False, every).takes({"CONTAINER_NAME": "chat-12"})
    assert not Flow("", "", "", 7, True, every).takes({})
    assert Flow("", "", "", 7, True, every).takes({"MLOPS_GPU_EVENT": "1"})
    assert Flow("", "", "", 7, False, (Way(7, ("Xid",), ()),)).takes({"MESSAGE": "NVRM: Xid"})
    assert not Flow("", "", "", 7, False, (Way(3, ("Xid",), ()),)).takes({"MESSAGE": "NVRM: Xid", "PRIORITY": "4"})
