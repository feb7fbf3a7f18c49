# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is pinned is listed and compared with what is served; what nobody answers is not counted as served."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import lzma
import pathlib
import re
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/fakes"))

from tools.pins import __main__ as command
from tools.pins import answers, listed, python_index, resolver
from tools.pins.locks import locked

DATA = pathlib.Path(__file__).parent / "data"
MDURL = "84008a41e51615a49fc9966191ff91509e3c40b939176e643fd50a5c2196b8f8"
MDURL_SDIST = "bb413d29f5eea38f31dd4754dd7377d4465116fb207585f97bf925588687c1ba"
PINS = listed.pins()
# Of a part of pip that it does not use.
pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:DeprecationWarning")


_PINNED = re.compile(r"(?<![\w.-])([A-Za-z][\w.-]*)(?:\[\w+\])?==(\d[\w.+!]*\w)(?![\w.*])")
# The packages that these name are made by tests, or are the reader's.
_NOT_OURS = ("tests/", "docs/", "changelogs/", "molecule/shared/", "molecule/air_gap/", "molecule/model_runtime/")


def test_every_pinned_python_package_is_listed():
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {
        (file, *pinned)
        for file in listing.split()
        if not file.startswith(_NOT_OURS)
        and pathlib.Path(file).suffix in (".txt", ".lock", ".yml", ".py", ".in", ".sh")
        for line in (ROOT / file).read_text().splitlines()
        if not line.startswith("#")
        for pinned in _PINNED.findall(line)
    }
    assert found - {(one.file, one.name, one.version) for one in PINS if isinstance(one, listed.Wheels)} == set()
    assert ("requirements.lock", "ansible-core", "2.19.14") in found


def test_every_lock_has_all_its_hashes_listed():
    for file in listed.LOCKS:
        hashes = {value for one in PINS if isinstance(one, listed.Wheels) and one.file == file for value in one.hashes}
        assert hashes == set(re.findall(r"sha256:(\w{64})", (ROOT / file).read_text()))


@pytest.mark.parametrize(
    "line",
    [
        "benchmarks/gateway.py: litellm 1.108.7",
        "examples/execution-environment/execution-environment.yml: image quay.io/centos/centos:stream10",
        "roles/gpu_driver/vars/Debian.yml: nvidia-driver 535, the archive of Debian bookworm",
        "tools/release/compat.py: ansible-core 2.22.0rc1",
    ],
)
def test_what_is_no_lock_is_listed(line):
    assert line in [str(one) for one in PINS]


def test_versions_and_keys_of_vendors_are_those_of_the_roles():
    said = "\n".join(map(str, PINS))
    for role in ("gpu_driver", "container_runtime", "log_shipper"):
        text = "\n".join(path.read_text() for path in (ROOT / f"roles/{role}/vars").glob("*.yml"))
        for fingerprint in re.findall(r"fingerprint: ([0-9A-F]{40})", text):
            assert f"roles/{role}/vars" in said and f"key {fingerprint}" in said


def test_a_collection_that_this_one_needs_would_be_a_pin():
    # None: nothing is asked of Galaxy.
    assert "\ndependencies: {}\n" in (ROOT / "galaxy.yml").read_text()


def test_both_styles_of_a_lock_are_read():
    over_lines = "# a==1\nd[x,y]==1.2 ; python_version < '4' \\\n    --hash=sha256:bb \\\n    --hash=sha256:aa\n"
    in_one = "e==2 --hash=sha256:cc\nf>=3\n"
    assert locked(over_lines + in_one) == [("d", "1.2", ("aa", "bb")), ("e", "2", ("cc",))]


# --- Python packages, of an index that serves a recorded answer


@pytest.fixture(scope="module")
def port():
    """Of an index on this machine: the recorded page of mdurl, an error for the name ``broken``, and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/").rpartition("/")[2]
            self.send_response({"mdurl": 200, "broken": 403}.get(name, 404))
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.end_headers()
            if name == "mdurl":
                self.wfile.write((DATA / "simple-index/mdurl.json").read_bytes())

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def index(monkeypatch, tmp_path, port):
    """As pip is configured for that index, and for a folder with a wheel."""
    (tmp_path / "local-1.0-py3-none-any.whl").write_bytes(b"a wheel")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    for name, value in (("PIP_EXTRA_INDEX_URL", ""), ("PIP_RETRIES", "0"), ("PIP_NO_CACHE_DIR", "1")):
        monkeypatch.setenv(name, value)
    return python_index.Index()


def wheels(name, version, *hashes):
    return listed.Wheels("a.lock", name, version, hashes)


def nobody(url, _headers=None):
    raise answers.Unreachable(url, "nobody is to be asked")


@pytest.mark.parametrize(
    ("pin", "outcome"),
    [
        pytest.param(wheels("mdurl", "0.1.2", MDURL, MDURL_SDIST), "ok", id="both files are served"),
        pytest.param(wheels("mdurl", "0.1.2", MDURL), "ok", id="one of two files is pinned"),
        pytest.param(wheels("mdurl", "0.1.2"), "ok", id="the version alone is pinned"),
        pytest.param(
            wheels("mdurl", "0.1.2", MDURL, "a" * 64), f"gone: 1 of its files: {'a' * 64}", id="a file was removed"
        ),
        pytest.param(
            wheels("mdurl", "0.1.2", "a" * 64),
            f"other hash: it is served with {MDURL}, {MDURL_SDIST}",
            id="all files are others",
        ),
        pytest.param(wheels("mdurl", "9.0", MDURL), "gone: no index has this version", id="the version was removed"),
        pytest.param(wheels("mdurls", "1.0"), "gone: no index has this name", id="the name was removed"),
        pytest.param(wheels("mdurl", "0.0.1"), "ok: but yanked: no reason is given", id="the release was yanked"),
        pytest.param(
            wheels("local", "1.0", hashlib.sha256(b"a wheel").hexdigest()), "ok", id="a folder of the machine has it"
        ),
    ],
)
def test_a_python_package(index, pin, outcome):
    assert str(resolver.Resolver(index.files, nobody, None)(pin)) == outcome


def test_an_index_that_answers_with_an_error_says_nothing_of_the_pin(index):
    found = resolver.Resolver(index.files, nobody, None)(wheels("broken", "1.0"))
    assert found.verdict == answers.NOT_REACHABLE
    assert "403 Client Error" in found.note


def test_an_index_that_is_away_says_nothing_of_the_pin(index, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    found = resolver.Resolver(index.files, nobody, None)(wheels("mdurl", "0.1.2", MDURL))
    assert str(found) == "not reachable here: a package index: ConnectionFailedError"


def test_the_wheel_that_is_made_here_is_made():
    (pin,) = (one for one in PINS if isinstance(one, listed.Wheels) and (one.file, one.name) == listed.MADE_HERE)
    assert str(resolver.Resolver(nobody, nobody, None)(pin)) == "ok: made here"


# --- repositories, keys and images, of recorded and made answers

_PACKAGES = (DATA / "apt-archive/Packages").read_bytes()
_PRIMARY = """<metadata><package type="rpm"><name>nvidia-driver</name><arch>x86_64</arch>
<version epoch="3" ver="580.95.05" rel="1.el9"/></package></metadata>"""
_REPOMD = """<data type="primary_zck"><location href="repodata/abc-primary.xml.zst"/></data>
<data type="primary"><location href="repodata/abc-primary.xml.gz"/></data>"""
_KEY = (ROOT / "roles/log_shipper/files/fluent-bit.asc").read_bytes()
_FINGERPRINT = "C3C0A28534B9293EAF51FABD9F9DDC083888C1CD"
_ANSWERS = {
    "https://deb.example.org/dists/bookworm/non-free/binary-amd64/Packages.xz": lzma.compress(_PACKAGES),
    "https://flat.example.org/Packages.gz": gzip.compress(_PACKAGES),
    "https://rpm.example.org/repodata/repomd.xml": _REPOMD.encode(),
    "https://rpm.example.org/repodata/abc-primary.xml.gz": gzip.compress(_PRIMARY.encode()),
    "https://empty.example.org/repodata/repomd.xml": b"<repomd/>",
    "https://keys.example.org/key": _KEY,
    "https://keys.example.org/page": b"<html>",
    "https://images.example.org/v2/some/image/manifests/1": b"{}",
    f"https://images.example.org/v2/some/image/manifests/sha256:{hashlib.sha256(b'{}').hexdigest()}": b"{}",
    f"https://images.example.org/v2/some/image/manifests/sha256:{'a' * 64}": b"{}",
}


def served(url, _headers=None):
    if "away.example.org" in url:
        raise answers.Unreachable("away.example.org", "no route")
    if url not in _ANSWERS:
        raise answers.Missing(url)
    return _ANSWERS[url]


def package(version, kind, url, suite="", names=("nvidia-driver",)):
    return listed.Package("vars.yml", names, version, listed.Repository(kind, url, suite))


_DIGEST = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"


@pytest.mark.parametrize(
    ("pin", "outcome"),
    [
        pytest.param(package("535", "debian", "", "Debian bookworm"), "ok", id="a branch of Debian"),
        pytest.param(
            package("535.261.03", "flat", "https://flat.example.org"), "ok", id="a version, in a flat repository"
        ),
        pytest.param(
            package("53", "flat", "https://flat.example.org"),
            "gone: the repository has 535.261.03-1",
            id="the beginning of a number is no version",
        ),
        pytest.param(
            package("1", "flat", "https://flat.example.org", names=("nothing",)),
            "gone: the repository has no such package",
            id="no such package",
        ),
        pytest.param(package("580", "rpm", "https://rpm.example.org"), "ok", id="a branch, in a repository of dnf"),
        pytest.param(
            package("590", "rpm", "https://rpm.example.org"), "gone: the repository has 580.95.05", id="another branch"
        ),
        pytest.param(
            package("580", "rpm", "https://empty.example.org"),
            "not reachable here: https://empty.example.org: its repomd.xml names no list of packages",
            id="no list of packages",
        ),
        pytest.param(
            package("580", "flat", "https://flat.example.org/moved"),
            "gone: https://flat.example.org/moved/Packages does not exist",
            id="the repository is not there",
        ),
        pytest.param(
            package("580", "rpm", "https://away.example.org"),
            "not reachable here: away.example.org: no route",
            id="the vendor does not answer",
        ),
        pytest.param(
            package("580", "debian", "", "Ubuntu noble"),
            "not reachable here: apt: this machine has no archive of Ubuntu",
            id="another distribution's archive",
        ),
        pytest.param(listed.Key("vars.yml", _FINGERPRINT, "https://keys.example.org/key"), "ok", id="a key"),
        pytest.param(
            listed.Key("vars.yml", _FINGERPRINT, "roles/log_shipper/files/fluent-bit.asc"), "ok", id="a key in a file"
        ),
        pytest.param(
            listed.Key("vars.yml", "0" * 40, "https://keys.example.org/key"),
            f"other hash: the key there is {_FINGERPRINT}",
            id="another key",
        ),
        pytest.param(
            listed.Image("ee.yml", "images.example.org/some/image:1"), f"ok: a tag, now {_DIGEST}", id="a tag"
        ),
        pytest.param(listed.Image("ee.yml", f"images.example.org/some/image@{_DIGEST}"), "ok", id="a digest"),
        pytest.param(
            listed.Image("ee.yml", f"images.example.org/some/image@sha256:{'a' * 64}"),
            f"other hash: it is served with {_DIGEST}",
            id="an answer of another digest",
        ),
    ],
)
def test_a_package_a_key_and_an_image(pin, outcome):
    assert str(resolver.Resolver(nobody, served, "https://deb.example.org")(pin)) == outcome


def test_a_page_that_is_no_key_is_not_taken_for_one():
    found = resolver.Resolver(nobody, served, None)(
        listed.Key("vars.yml", _FINGERPRINT, "https://keys.example.org/page")
    )
    assert found.verdict == answers.OTHER_HASH


def test_a_machine_without_debian_says_so():
    found = resolver.Resolver(nobody, served, None)(package("535", "debian", "", "Debian bookworm"))
    assert str(found) == "not reachable here: apt: this machine has no archive of Debian"


def test_a_host_that_does_not_answer_is_asked_once(monkeypatch):
    asked = []
    web = answers.Web()
    real = answers.urllib.request.urlopen
    monkeypatch.setattr(answers.urllib.request, "urlopen", lambda *a, **k: asked.append(a) or real(*a, **k))
    for path in ("a", "b"):
        with pytest.raises(answers.Unreachable, match=r"127\.0\.0\.1:1: .*refused"):
            web(f"http://127.0.0.1:1/{path}")
    assert len(asked) == 1


# --- the report


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ((answers.OK, answers.NOT_REACHABLE), 0),
        ((answers.OK, answers.GONE), 1),
        ((answers.OTHER_HASH, answers.NOT_REACHABLE), 1),
    ],
)
def test_the_status_tells_whether_a_pin_is_gone(capsys, verdicts, status):
    resolved = [(wheels("x", "1"), answers.Outcome(one, "why")) for one in verdicts]
    assert command.report(resolved) == status
    lines = capsys.readouterr().out.splitlines()
    assert [line[:18].strip() for line in lines[:-1]] == list(verdicts)
    assert lines[0].endswith("a.lock: x 1 (why)")
    counts = {
        name: verdicts.count(name) for name in (answers.OK, answers.GONE, answers.OTHER_HASH, answers.NOT_REACHABLE)
    }
    assert lines[-1] == f"pins: {', '.join(f'{count} {name}' for name, count in counts.items())}"


def test_the_tools_name_no_package_index():
    texts = "".join(path.read_text() for path in (ROOT / "tools/pins").glob("*.py"))
    assert [host for host in ("pypi.org", "pythonhosted", "deb.debian", "galaxy.ansible") if host in texts] == []
