# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.pip import Sources, Work, failure
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import DATA, Replay

VERSIONS = sorted(path.name for path in (DATA / "pip").iterdir() if path.is_dir())
INDEX = "http://127.0.0.1:3141"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("disk-full", "the disk is full; make room, and run again"),
        (
            "hash-mismatch",
            "demo==1.0 has the sha256 {got}, and none that the set has, such as " + "0" * 64 + "; find out who "
            "changed it before the new hash is taken",
        ),
        ("incomplete-set", "the set is not complete: needs==1.0 needs demo>=1, which is not in it"),
        ("incomplete-set-exact", "the set is not complete: something in it needs demo==1.0, which is not in it"),
        (
            "conflict",
            "its packages are in conflict: The user requested demo==1.0; clash 1.0 depends on demo>=2",
        ),
        ("no-version", f"{INDEX} has no demo==9.9 for this Python and machine; versions that it has: 1.0"),
        (
            "no-package",
            f"{INDEX} has no nonesuch==1.0, or does not show it to this host, its Python and its login",
        ),
        ("password", f"{INDEX}/closed has no demo==1.0, or does not show it to this host, its Python and its login"),
        ("other-python", "later needs Python >=3.99, and this is {have}"),
        ("broken-wheel", "the wheel of other is broken"),
        ("refused", "http://127.0.0.1:9 cannot be reached"),
        ("no-name", "index.invalid has no TLS, which pip takes from this host itself alone; give it some"),
        (
            "certificate",
            "https://localhost:3141 shows a certificate that this host does not trust; add its authority to the "
            "host's, or name it by PIP_CERT",
        ),
    ],
)
def test_what_pip_says_becomes_one_sentence(version, case, said):
    done = Replay(f"pip/{version}/{case}")("pip", timeout_s=1)
    assert done.rc == 1
    words = {
        "got": done.stderr.partition("Got        ")[2].split("\n")[0],
        "have": done.stderr.partition("different Python: ")[2].split(" ")[0],
    }
    found = failure("vllm", done, timeout_s=9)
    assert str(found) == f"the packages of the environment vllm cannot be installed: {said.format(**words)}"
    assert found.details["rc"] == 1


def test_what_is_not_known_is_passed_on():
    done = Completed(("pip",), 3, "", "ERROR: a new way to fail\n")
    assert str(failure("x", done, timeout_s=9)).endswith("pip exited with status 3: ERROR: a new way to fail")


def test_too_slow():
    done = Completed(("pip",), 124, "", "", timed_out=True)
    assert str(failure("x", done, timeout_s=9)).endswith("that was not done within 9 s; raise timeout_s")


def test_an_index_of_ones_own_counts_alone_and_is_in_no_argument():
    sources = Sources("https://reader:hush@a/simple", ("https://b/simple", "https://c/simple"))
    sources.check()
    assert sources.configuration == (
        "[global]\nindex-url = https://reader:hush@a/simple\n"
        "extra-index-url = https://b/simple https://c/simple\nfind-links =\nno-index = false\n"
    )
    work = Work("/w")
    variables = {"PIP_INDEX_URL": "x", "PIP_CERT": "y", "PIP_TARGET": "z", "HOME": "/root", "PATH": "/bin"}
    argv = (*work.environment(sources, variables), *work.install(sources, only_binary=True, complete=True, retries=2))
    assert "hush" not in " ".join(argv)
    assert argv[:5] == ("env", "-u", "PIP_INDEX_URL", "-u", "PIP_TARGET")
    assert {"HOME=/w/home", "PIP_CONFIG_FILE=/w/pip.conf", "--only-binary=:all:", "--retries=2"} <= {*argv}


def test_the_hosts_own_indexes_are_left_to_it():
    sources = Sources()
    assert sources.configuration is None
    variables = {"PIP_INDEX_URL": "x", "PIP_USER": "1"}
    argv = Work("/w").environment(sources, variables)
    assert argv[:3] == ("env", "-u", "PIP_USER") and not any(word.startswith("HOME=") for word in argv)


def test_wheels_are_the_only_source():
    argv = Work("/w").install(Sources(wheels="/media/the wheels"), only_binary=False, complete=False, retries=0)
    assert {"--no-index", "--find-links=/media/the wheels"} <= {*argv} and "--only-binary=:all:" not in argv
    assert "find-links =\n" in Sources(wheels="/w").configuration


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (Sources("ftp://a"), "index_url must be an address"),
        (Sources("https://a b"), "without blanks"),
        (Sources("https://a\n[install]"), "without blanks"),
        (Sources("https://a", ("b",)), "extra_index_urls must be an address"),
        (Sources(None, ("https://b",)), "extra_index_urls are taken beside an index_url only"),
    ],
)
def test_what_is_no_source_is_refused(sources, said):
    with pytest.raises(HostError, match=said):
        sources.check()
