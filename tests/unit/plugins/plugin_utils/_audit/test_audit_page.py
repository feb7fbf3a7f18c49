# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._audit import junit, page
from ansible_collections.mlops.hosts.tests.unit.plugins.plugin_utils._audit.support import event, gpu, row

EVIL = "</script><img src=x onerror=alert(1)>&amp;\u2028'\"@@script@@"


class Reader(HTMLParser):
    """What a browser makes of a page, as far as it matters here. Scripts and styles are text, as in browsers."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.attributes = [], {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]

    def handle_data(self, data):
        if self.tags:
            self.texts.setdefault(self.tags[-1], []).append(data)


def data(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.fixture
def evil(fleet):
    evil_row = {"kind": EVIL, "item": EVIL, "attribute": EVIL, "want": EVIL, "have": {EVIL: [EVIL]}}
    fleet.component(EVIL, evil_row, name=EVIL)
    fleet.collector.unreachable("x" + EVIL, EVIL)
    fleet.gpus(EVIL, gpu(0, name=EVIL, health="failed", health_reasons=[EVIL]))
    fleet.events(EVIL, event(text=EVIL, mnemonic=EVIL, action=EVIL, last=EVIL))
    return fleet


class TestPage:
    def test_the_newest_event_comes_first(self, fleet):
        fleet.events("a", event(code=13, last="2026-11-24T02:00:00.000000Z"), event(code=31))
        fleet.events("b", event(code=79, last="2026-11-26T02:00:00.000000Z", text="fell off the bus"))
        text = page.render(fleet.document)
        shown = data(text)
        assert [(shown["hosts"][one["host"]]["name"], one["code"]) for one in shown["events"]] == [
            ("b", 79),
            ("a", 31),
            ("a", 13),
        ]
        # Without scripts, too.
        assert "fell off the bus" in re.search(r"<noscript>(.*?)</noscript>", text, re.DOTALL)[1]

    def test_a_host_has_a_link_to_its_dashboard_where_there_is_one(self, fleet):
        fleet.component("a")
        url = "https://grafana.example.org/d/mlops-host?var-host={host}"
        assert page.dashboard_url(url) == url
        assert data(page.render(fleet.document, url))["dashboard"] == url
        assert data(page.render(fleet.document))["dashboard"] == page.dashboard_url("") == ""

    @pytest.mark.parametrize(
        "url", ["javascript:alert('{host}')", "https://grafana.example.org/", "{host}", "/d/{host}"]
    )
    def test_what_is_no_address_of_a_dashboard_is_refused(self, url):
        with pytest.raises(page.LinkError, match="audit_dashboard_url must begin with https"):
            page.dashboard_url(url)

    def test_needs_nothing_else(self, fleet):
        fleet.component("a", row())
        text = page.render(fleet.document)
        links = [value for _tag, name, value in Reader(text).attributes if name in ("src", "href", "srcset", "action")]
        assert [link for link in links if link != "data:," and not link.startswith("#")] == []
        assert "http://" not in text and "https://" not in text and "@import" not in text
        assert "@@" not in text

    def test_runs_its_own_script_only(self, fleet):
        text = page.render(fleet.document)
        allowed = re.search(r"script-src ([^;\"]+)", text)[1]
        script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert allowed == f"'sha256-{digest}'"

    def test_what_hosts_say_is_no_markup(self, fleet, evil):
        text = page.render(evil.document)
        assert "<img" not in text
        reader = Reader(text)
        assert reader.tags.count("script") == 2
        assert "img" not in reader.tags
        assert data(text)["differences"][0]["item"] == EVIL
        assert any(EVIL in said for said in reader.texts["td"])

    def test_what_hosts_say_is_no_slot(self, fleet):
        fleet.component("a", row(item="@@script@@"))
        assert data(page.render(fleet.document))["differences"][0]["item"] == "@@script@@"

    def test_a_difference_of_many_hosts_is_there_once(self, fleet):
        for number in range(50):
            fleet.component(f"a{number}", row())
        fleet.component("a7", row(), row(item="/etc/b"))
        shown = page.payload(fleet.document)
        assert [(one["item"], len(one["hosts"])) for one in shown["differences"]] == [("/etc/a", 50), ("/etc/b", 1)]
        assert shown["hosts"][shown["differences"][1]["hosts"][0]]["name"] == "a7"

    def test_the_worst_hosts_come_first(self, fleet):
        fleet.component("a")
        fleet.component("b", row())
        fleet.collector.unreachable("c", "Connection refused")
        fleet.failed("d", "broken")
        fleet.collector.give_up("d", "acme.web")
        shown = page.payload(fleet.document)
        assert [host["name"] for host in shown["hosts"]] == ["d", "c", "b", "a"]

    def test_gpus_that_are_alike_are_one_row(self, fleet):
        fleet.gpus("a", *[gpu(index) for index in range(8)])
        fleet.gpus("b", gpu(0), gpu(None, health="failed", health_reasons=["It is lost."], pci_address="0000:1a:00.0"))
        shown = page.payload(fleet.document)["gpus"]
        assert [(one["health"], one["which"]) for one in shown] == [
            ("failed", ["0000:1a:00.0"]),
            ("ok", list(range(8))),
            ("ok", [0]),
        ]

    @pytest.mark.parametrize(
        ("says", "hosts"),
        [
            ("No host was audited", {}),
            ("1 host, all as desired", {"a": []}),
            ("2 hosts: 1 drifted", {"a": [], "b": [row()]}),
        ],
    )
    def test_the_headline_is_the_news(self, fleet, says, hosts):
        for name, drift in hosts.items():
            fleet.component(name, *drift)
        text = page.render(fleet.document)
        assert f"<h1>{says}</h1>" in text
        assert f"<title>Audit: {says}</title>" in text

    def test_without_scripts_there_is_what_is_wrong(self, fleet):
        for number in range(300):
            fleet.component(f"a{number}", row(have=f"{number:04o}"))
        text = page.render(fleet.document)
        plain = text[text.index("<noscript>") : text.index("</noscript>")]
        assert "file /etc/a: mode is 0000, desired 0644" in plain
        assert plain.count("100 more are in drift.json.") == 2

    def test_a_large_fleet_makes_no_large_page(self, fleet):
        for number in range(500):
            for component in "abcdefgh":
                rows = [row(item=f"/etc/{component}/{one}") for one in range(10)]
                fleet.component(f"host{number}", *rows, name=component)
            fleet.gpus(f"host{number}", *[gpu(index) for index in range(8)])
        assert len(page.render(fleet.document)) < 1_000_000


class TestJunit:
    def cases(self, fleet, name="a"):
        top = ET.fromstring(junit.render(fleet.document))
        suite = next(suite for suite in top if suite.get("name") == name)
        return suite, {
            case.get("name"): [(part.tag, part.get("message"), part.text) for part in case] for case in suite
        }

    def test_a_difference_is_a_failure(self, fleet):
        fleet.component("a", row(), row(item="/etc/b", want=None))
        fleet.component("a", name="other")
        suite, cases = self.cases(fleet)
        assert cases == {
            "reachable": [],
            "web": [
                (
                    "failure",
                    "2 differences",
                    "file /etc/a: mode is 0600, desired 0644\nfile /etc/b: mode is 0600, desired nothing",
                )
            ],
            "other": [],
        }
        assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")

    def test_what_could_not_be_audited_is_an_error(self, fleet):
        fleet.failed("a", "broken")
        fleet.collector.give_up("a", "acme.web")
        fleet.collector.unreachable("b", "Connection refused")
        fleet.failed("c", "no sudo", role=None)
        fleet.collector.lost("c")
        unread = [("error", "the GPUs could not be read", "the GPUs could not be read")]
        assert self.cases(fleet)[1] == {"reachable": [], "web": [("error", "broken", "broken")], "gpus": unread}
        assert self.cases(fleet, "b")[1] == {"reachable": [("error", "Connection refused", "Connection refused")]}
        assert self.cases(fleet, "c")[1] == {"reachable": [("error", "no sudo", "no sudo")], "gpus": unread}

    def test_gpus_have_a_case(self, fleet):
        fleet.gpus("a", gpu(0), gpu(1, health="degraded", health_reasons=["It is hot."]), expected=3)
        message = "GPU 1 H100 is degraded: It is hot."
        text = message + "\n2 GPUs are listed and 3 are on the PCI bus"
        assert self.cases(fleet)[1]["gpus"] == [("failure", message, text)]

    def test_a_gpu_that_is_lost_is_named_by_its_place(self, fleet):
        lost = gpu(None, name=None, pci_id="10de:2330", pci_address="0000:13:00.0", health="failed")
        fleet.gpus("a", lost, expected=1)
        assert self.cases(fleet)[1]["gpus"][0][1] == "GPU 0000:13:00.0 10de:2330 is failed: "

    def test_a_host_without_gpus_has_none(self, fleet):
        fleet.gpus("a")
        assert "gpus" not in self.cases(fleet)[1]

    def test_sums_are_those_of_all_suites(self, fleet):
        fleet.component("a", row())
        fleet.component("b")
        top = ET.fromstring(junit.render(fleet.document))
        assert (top.get("tests"), top.get("failures"), top.get("errors")) == ("4", "1", "0")

    def test_it_is_xml_whatever_hosts_say(self, fleet, evil):
        evil.component("a", row(have="\x00\x1b[31m\ud800\uffff"))
        assert self.cases(evil)[1]["web"][0][2] == "file /etc/a: mode is \ufffd\ufffd[31m\ufffd\ufffd, desired 0644"
        assert EVIL.replace("\u2028", "\u2028") in self.cases(evil, "x" + EVIL)[1]["reachable"][0][2]
