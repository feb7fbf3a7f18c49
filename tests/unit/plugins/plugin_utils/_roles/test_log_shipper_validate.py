# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused, and in which words."""

from __future__ import annotations

import re

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform
from ansible_collections.mlops.hosts.tests.unit.fakes import FakeReader, refused
from ansible_collections.mlops.hosts.tests.unit.shipper_options import (
    CA,
    CERT,
    KEY,
    ON_HOST,
    PRIVATE_KEY,
    PYTHON,
    TEXTS,
    built,
    made,
    receiver,
    route,
    sink,
    source,
)

# A sentence, and what brings it about.
REFUSED = {
    "These names are used twice: models; give each entry of a list a name of its own.": {
        "sources": [source(), source(state="absent")]
    },
    "These names are used twice: Central; give each entry of a list a name of its own.": {
        "sinks": [sink("Central"), sink("central")]
    },
    "These names cannot be used: a b, -x, y\n; use letters, digits, - and _.": {
        "sources": [source("a b"), source("-x"), source("y\n")]
    },
    "log_shipper_routes names sources that are not there: nobody; log_shipper_sources has models.": {
        "sources": [source(), source("nobody", state="absent")],
        "sinks": [sink()],
        "routes": [route(sources=["nobody", "models"]), route("again", sources=["nobody"])],
    },
    "log_shipper_routes names sinks that are not there: nowhere; log_shipper_sinks has none.": {
        "sources": [source()],
        "routes": [route(sinks=["nowhere"])],
    },
    "These sources of type journald have no units: a, b; list at least one.": {
        "sources": [source("a", units=None), source("b", units=[])]
    },
    "These are no names of units: a b, c|d; * and ? are the wildcards.": {
        "sources": [source(units=["a b", "c|d", "dev-disk-by\\x2duuid.device"])]
    },
    "Exactly one of ca and ca_content is needed, unlike in: both, none.": {
        "sinks": [sink("both", ca_content="CA"), sink("none", ca=None)]
    },
    "A certificate or key is given both as a path and as content in: central; leave one out.": {
        "sinks": [sink(**ON_HOST, cert_content="CERT", private_key_content=KEY)]
    },
    "A certificate needs its private key and the other way round, unlike in: a, b.": {
        "sinks": [
            sink("a", cert=CERT),
            sink("b", private_key=PRIVATE_KEY),
            sink("c", cert=CERT, private_key_content=KEY),
        ]
    },
    "These receivers have no certificate: central; give cert and private_key.": {
        "receivers": [receiver(cert=None, private_key=None)]
    },
    "These receivers would let in nobody: a, b; list permitted_peers.": {
        "receivers": [receiver("a", permitted_peers=[]), receiver("b", permitted_peers=None, port=1)]
    },
    "private_key_content is no unencrypted PEM key in: a, b.": {
        "sinks": [
            sink("a", cert=CERT, private_key_content="c2VjcmV0"),
            sink("b", cert=CERT, private_key_content="-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0"),
        ]
    },
    'These hosts, addresses, groups or peers are invalid: a b, x"y, 1,2, c d.': {
        "sinks": [sink(host="a b", permitted_peers=['x"y', "*.example.org"])],
        "receivers": [receiver(address="1,2", group="c d")],
    },
    "These paths cannot be used: ca.pem, /a b; give absolute paths without blanks.": {
        "sinks": [sink(ca="ca.pem", cert="/a b", private_key=PRIVATE_KEY)]
    },
    "The shipper cannot read below /root, /home, /tmp, /var/tmp and /run/user: /root/ca, /home/me/ca, /tmp/ca; "
    "move them to /etc.": {
        "sinks": [
            sink("a", ca="/root/ca"),
            sink("b", ca="/home/me/ca"),
            sink("c", ca="/rooted/ca"),
            sink("d", ca="/tmp/ca"),
        ]
    },
    "The shipper cannot write below /root, /home, /tmp, /var/tmp and /run/user: /home/logs/{host}.log, "
    "/var/tmp/logs/{host}.log; use /var/log or /srv.": {
        "receivers": [
            receiver("a", path="/home/logs/{host}.log"),
            receiver("b", port=1, path="/var/tmp/logs/{host}.log"),
            receiver("c", port=2, path="/homes/logs/{host}.log"),
        ]
    },
    "The shipper cannot write to programs, settings and devices: /usr/a.json, /etc/a.json; use /var/log or /srv.": {
        "sinks": [
            {"name": "a", "type": "file", "path": "/usr/a.json"},
            {"name": "b", "type": "file", "path": "/etc/a.json"},
            {"name": "c", "type": "file", "path": "/usrs/a.json"},
        ]
    },
    "The shipper cannot write to programs, settings and devices: /usr/logs/{host}.log; use /var/log or /srv.": {
        "receivers": [receiver(path="/usr/logs/{host}.log")]
    },
    "Two receivers want port 6514; give each a port of its own.": {
        "receivers": [receiver("a"), receiver("b", port="6514"), receiver("c", port=1, state="absent")]
    },
}


@pytest.mark.parametrize(("sentence", "lists"), REFUSED.items(), ids=list(REFUSED))
def test_what_cannot_be_meant_is_one_sentence_without_any_key(sentence, lists):
    found = built(**lists)
    assert found == Built(problems=(sentence,))
    assert "c2VjcmV0" not in repr(found)


@pytest.mark.parametrize(
    ("path", "usable"),
    [
        ("/var/log/mlops/{host}/{program}.log", True),
        ("/srv/logs/{host}.log", True),
        ("/srv/logs/a-{host}-z/all.{program}", True),
        ("/srv/{host}.log", False),
        ("/srv/logs/{program}.log", False),
        ("/var/log/{host}/{program}.log", False),
        ("/srv/logs/{host}/../{program}.log", False),
        ("/srv/../{host}/{program}.log", False),
        ("/srv/logs/{user}/{host}.log", False),
        ("logs/{host}", False),
    ],
)
def test_received_logs_have_a_directory_of_their_own(path, usable):
    assert built(receivers=[receiver(path=path)]).problems == (
        ()
        if usable
        else (
            f"These patterns of received logs cannot be used: {path}; give a directory of their own, then {{host}}, "
            "such as /var/log/mlops/{host}/{program}.log.",
        )
    )


def test_everything_that_is_wrong_is_said():
    assert len(built(sources=[source(units=[])], sinks=[sink(ca=None)]).problems) == 2


def test_a_refused_request_asks_nothing_and_holds_no_key():
    found = built(sinks=[sink(**TEXTS, private_key_content=KEY), sink()])
    assert found.problems
    assert (found.question, found.component, found.verify) == (None, None, None)


OPTIONS = {
    "Sinks of type loki need url: logs.": [{"name": "logs", "type": "loki"}],
    "Sinks of type file have no such option: here (host).": [
        {"name": "here", "type": "file", "path": "/var/log/a.jsonl", "host": "a"}
    ],
    "The URL must be http://HOST[:PORT][/PATH] or https://..., unlike in: a, b, c.": [
        {"name": "a", "type": "opensearch", "url": "ftp://x"},
        {"name": "b", "type": "opensearch", "url": "https://x:99999"},
        {"name": "c", "type": "opensearch", "url": "https://"},
    ],
    "A URL has neither a user nor a query: give username, password or token as options of: a.": [
        {"name": "a", "type": "opensearch", "url": "https://me@x"}
    ],
    "These sinks would send logs unencrypted over the network: a; use https, or set plain_http.": [
        {"name": "a", "type": "opensearch", "url": "http://search"},
        {"name": "b", "type": "opensearch", "url": "http://127.0.0.1:9200"},
        {"name": "c", "type": "opensearch", "url": "http://search", "plain_http": True},
    ],
    'These URLs cannot be used: https://x/"a.': [{"name": "a", "type": "opensearch", "url": 'https://x/"a'}],
    "Either a token or a password: a.": [
        {"name": "a", "type": "opensearch", "url": "https://x", "token": "t", "username": "u", "password": "p"}
    ],
    "A password needs its username and the other way round, unlike in: a.": [
        {"name": "a", "type": "opensearch", "url": "https://x", "password": "p"}
    ],
    "Brokers are HOST:PORT, unlike: a.": [{"name": "a", "type": "kafka", "brokers": ["a"], "topic": "t"}],
    "These words of sinks cannot be used: a b.": [
        {"name": "a", "type": "opensearch", "url": "https://x", "index": "a b"}
    ],
    "These files of sinks cannot be used: a.jsonl.": [{"name": "a", "type": "file", "path": "a.jsonl"}],
}


@pytest.mark.parametrize("sentence", OPTIONS)
def test_options_of_a_sink_are_those_of_its_type(sentence):
    assert sentence in built(sinks=OPTIONS[sentence]).problems


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        (
            {"sources": [source(labels={"Team": "a", "host": "b", "team": "c$d"})]},
            (
                "These names of labels cannot be used: Team; use small letters, digits and _.",
                "These labels are given by the role itself: host.",
                "These values of labels cannot be used: c$d; use letters, digits, blanks and . _ : / @ + -.",
            ),
        ),
        (
            {"sources": [source()], "sinks": [sink()], "routes": [route(contains=['a"b'])]},
            ('These texts of routes cannot be used: a"b; use letters, digits, blanks and . _ : / @ + - .',),
        ),
        (
            {"sinks": [sink(type="relp_tls")], "redact_patterns": ["a(", 'a"', "a\\d", "b*", "card-[0-9]+"]},
            (
                'These patterns of log_shipper_redact_patterns cannot be used: a(, a", a\\d, b*; give extended regular '
                "expressions without quotation marks, backslashes and groups that are referred to.",
            ),
        ),
        (
            {"sources": [{"name": "old", "type": "files", "paths": ["/var/*/a", "/tmp/a.log", "/l/*.log"]}]},
            (
                "These paths of log files cannot be used: /var/*/a; give absolute paths, with * in the last part at "
                "most.",
                "The shipper cannot read below /root, /home, /tmp, /var/tmp and /run/user: /tmp/a.log; log elsewhere.",
            ),
        ),
    ],
    ids=["labels", "texts", "patterns", "files"],
)
def test_what_means_something_else_to_some_program_is_refused(lists, sentence):
    assert built(**lists).problems == sentence


@pytest.mark.parametrize(
    ("release", "refused_types"), [("bookworm", ["http", "loki"]), ("trixie", ["http", "loki"]), ("forky", [])]
)
def test_what_a_release_does_not_have_is_refused(release, refused_types):
    host = platform("log_shipper", {"distribution": "Debian", "distribution_release": release, "os_family": "Debian"})
    sinks = [{"name": kind, "type": kind, "url": "https://logs.example.org"} for kind in ("http", "loki", "opensearch")]
    problems = built(host, sinks=sinks).problems
    assert [re.findall(r"of type (\w+)", problem)[0] for problem in problems] == refused_types


def conflicts(paths=(), listeners=(), **more):
    paths = {path: {} for path in ON_HOST.values()} | {PYTHON: {"mode": "0755"}} | dict(paths)
    reader = FakeReader(
        [{"path": path, "kind": "file", "mode": "0600"} | what for path, what in paths.items()],
        [{"port": port, "unit": unit} for port, unit in listeners],
    )
    receivers = [receiver(str(port), port=port) for port in (22, 514, 6514)]
    return refused(made(sinks=[sink(**ON_HOST)], receivers=receivers), reader, **more)


@pytest.mark.parametrize(
    ("paths", "listeners", "sentences"),
    [
        ({CA: {"mode": "0644"}, PRIVATE_KEY: {"mode": "0640"}}, [(6514, "mlops-log-shipper.service")], []),
        (
            {CA: {"kind": "absent", "mode": None}, CERT: {"kind": "directory", "mode": "0755"}},
            [],
            [f"These files are not on the host: {CA}, {CERT}; put them there first, or give their content."],
        ),
        (
            {PRIVATE_KEY: {"mode": "0604"}},
            [],
            [f"The private key {PRIVATE_KEY} can be read by others; take away their permissions (mode 0600 or 0640)."],
        ),
        (
            {},
            [(22, "ssh.service"), (22, "ssh.service"), (514, "rsyslog.service"), (6514, None)],
            [
                "Another program listens on port 22 (ssh.service), 514 (rsyslog.service), 6514; stop it or choose "
                "another port."
            ],
        ),
        (
            {"/usr/sbin/syslog-ng": {"mode": "0755"}},
            [],
            [
                "The host logs with syslog-ng-core (/usr/sbin/syslog-ng), which the package rsyslog would remove; "
                "remove it yourself, or take the host out of the play."
            ],
        ),
        ({"/usr/sbin/syslog-ng": {"kind": "absent", "mode": None}}, [], []),
        (
            {PYTHON: {"kind": "absent", "mode": None}},
            [],
            [f"log_shipper_python is no program on the host: {PYTHON}; install it, or name another one."],
        ),
    ],
    ids=["a-good-host", "files-are-missing", "a-key-is-open", "a-port-is-taken", "a-rival", "no-rival", "no-python"],
)
def test_what_the_host_has_against_it_is_one_sentence(paths, listeners, sentences):
    assert conflicts(paths, listeners) == (sentences, [])


def test_in_check_mode_an_earlier_role_may_bring_the_files():
    words = f"These files are not on the host: {CA}; put them there first, or give their content."
    absent, directory = {CA: {"kind": "absent", "mode": None}}, {CA: {"kind": "directory", "mode": "0755"}}
    assert conflicts(absent, check_mode=True) == ([], [words])
    assert conflicts(directory, check_mode=True) == ([words], [])


@pytest.mark.parametrize(
    ("distribution", "release", "family"),
    [("Ubuntu", "noble", "Debian"), ("Debian", "buster", "Debian"), ("Fedora", "42", "RedHat")],
)
def test_a_host_that_is_not_known_is_said_with_all_that_is_wrong(distribution, release, family):
    host = {"distribution": distribution, "distribution_release": release, "os_family": family}
    first, second = built(platform("log_shipper", host), sources=[source(units=[])]).problems
    assert first == (
        "log_shipper runs on Debian bookworm, trixie and forky, and this host is "
        f"{distribution} {release}; take it out of the play."
    )
    assert "journald have no units" in second
