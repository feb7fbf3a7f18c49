# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is claimed has a run behind it, and the pages say what was run."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
import yaml

from tools import runs, support_matrix

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASES = {"bookworm": "12", "trixie": "13", "jammy": "22.04", "noble": "24.04", "resolute": "26.04"}
SEEN = {
    "distribution": {"id": "debian", "name": "Debian GNU/Linux", "version": "13"},
    "ledger": ["example", "model_gateway", "ray"],
    "environments": False,
    "packages": [
        ["haproxy", "3.0.11-1", "fast and reliable load balancing reverse proxy"],
        ["nvidia-kernel-open-dkms", "580.95.05-1", "fake for tests"],
        ["haproxyctl", "1", "other"],
    ],
}
HOST = {
    "name": "one",
    "runs": "Debian 13",
    "simulates": None,
    "roles": ["model_gateway", "ray_cluster"],
    "components": {
        "HAProxy": {"version": "3.0.11-1", "simulated": False},
        "NVIDIA driver": {"version": "580.95.05-1", "simulated": True},
    },
}


def record(hosts=(), date="2026-11-30"):
    return {
        "date": date,
        "commit": "abc",
        "sources": "x",
        "controller": {"ansible-core": "2.19.14", "python": "3.11.7"},
        "evidence": "noted by the run",
        "hosts": hosts if hosts is None else list(hosts),
    }


def claims(**row):
    return {"distributions": {}, "rows": [{"what": "it", "how": "so", "runs": ["molecule/a"], **row}]}


def test_every_claim_has_a_run_behind_it():
    claimed, recorded = support_matrix.load(), runs.recorded()
    assert support_matrix.problems(claimed, recorded) == []
    assert support_matrix.unknown_scenarios(claimed, recorded) == []


def test_runs_that_are_not_recorded_become_fewer():
    """They are of before runs were noted. Lower the number when make matrix has taken in a run of one of them."""
    missing = [name for name, record in runs.recorded().items() if record["evidence"] == support_matrix.UNRECORDED]
    assert len(missing) <= 5


def test_the_pages_are_made_of_the_runs():
    claimed, recorded = support_matrix.load(), runs.recorded()
    assert support_matrix.PAGE.read_text() == support_matrix.page(claimed, recorded), "run: make matrix"
    text = support_matrix.README.read_text()
    assert text == support_matrix.readme(text, claimed, recorded), "run: make matrix"


def test_distributions_are_those_that_roles_know():
    for role, known in support_matrix.load()["distributions"].items():
        found = {}
        for path in (ROOT / "roles" / role / "vars").glob("[A-Z]*.yml"):
            family, _, release = path.stem.partition("_")
            family = {"RedHat": "Enterprise Linux"}.get(family, family)
            releases = [release] if release else released(yaml.safe_load(path.read_text()))
            found.setdefault(family, set()).update(RELEASES.get(one, one) for one in releases)
        for family, releases in found.items():
            # model_runtime needs a Python, and no release of its own.
            if releases:
                assert releases == set(known[family]), f"{role} on {family}"
        assert {*found} - {*known} == set(), role


def released(data):
    """Keys or items of what is called releases, however deep."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from value if key == "releases" else released(value)


@pytest.mark.parametrize(
    ("row", "records", "problem"),
    [
        ({}, {"molecule/a": record()}, None),
        ({}, {}, "it: no run molecule/a is recorded"),
        ({"runs": []}, {}, "it: a claim needs a run"),
        ({"distributions": ["Debian 13"], "real": ["HAProxy"]}, {"molecule/a": record([HOST])}, None),
        (
            {"distributions": ["Debian 12"]},
            {"molecule/a": record([HOST])},
            "it: no run had Debian 12 (distributions)",
        ),
        ({"real": ["NVIDIA driver"]}, {"molecule/a": record([HOST])}, "it: no run had NVIDIA driver (real)"),
        (
            {"distributions": ["Debian 13"]},
            {"molecule/a": record([{**HOST, "simulates": "Ubuntu 24.04"}])},
            "it: no run had Debian 13 (distributions)",
        ),
        ({"simulates": ["Ubuntu 24.04"]}, {"molecule/a": record([{**HOST, "simulates": "Ubuntu 24.04"}])}, None),
        ({"realy": ["HAProxy"]}, {"molecule/a": record()}, "it: a claim has distributions, how, real, runs"),
    ],
)
def test_a_claim_without_a_run_is_a_problem(row, records, problem):
    found = support_matrix.problems(claims(**row), records)
    assert len(found) == (problem is not None)
    assert problem is None or found[0].startswith(problem)


def test_a_run_of_a_scenario_that_is_gone_is_found():
    assert support_matrix.unknown_scenarios(claims(), {"molecule/component": record(), "vm": record()}) == [
        "molecule/a"
    ]


def test_tables_tell_real_from_simulated():
    known = {"rows": [], "distributions": {"model_gateway": {"Debian": ["12", "13"], "Ubuntu": ["24.04"]}}}
    records = {
        "molecule/a": record([HOST], date="2026-11-29"),
        "molecule/b": record([{**HOST, "simulates": "Ubuntu 24.04"}]),
        "molecule/c": record(None),
    }
    page = support_matrix.page(known, records)
    assert "| `model_gateway` | Debian 12 | | |\n" in page
    assert "| `model_gateway` | Debian 13 | 2026-11-29 | |\n" in page
    assert "| `model_gateway` | Ubuntu 24.04 | | 2026-11-30 |\n" in page
    assert "| HAProxy | 3.0.11-1 | Debian 13 | real | 2026-11-29 | `a` |\n" in page
    assert "| NVIDIA driver | 580.95.05-1 | Debian 13 as Ubuntu 24.04 | simulated | 2026-11-30 | `b` |\n" in page
    assert "| `molecule/b` | 2026-11-30 | `abc` | 2.19.14 | Debian 13 as Ubuntu 24.04 | noted by the run |\n" in page
    marks = "".join(
        f"<!-- {one}: made by make matrix -->\n<!-- end of {one} -->\n" for one in ("distributions", "runs")
    )
    text = support_matrix.readme(f"# x\n{marks}## y\n", known, records)
    assert "| `model_gateway` | 12, **13** | *24.04* | |\n" in text
    assert text.startswith("# x\n") and text.endswith("## y\n")
    assert support_matrix.readme(text, known, records) == text
    with pytest.raises(ValueError, match="README.md has no place for distributions"):
        support_matrix.readme("# x\n", known, records)


def test_a_line_is_as_old_as_its_oldest_run():
    records = {"a": record(date="2026-11-29"), "b": record(), "c": record(date=None)}
    assert support_matrix._last(["a", "b"], records) == "2026-11-29"
    assert support_matrix._last(["a", "c"], records) == "not recorded"


def test_a_host_says_what_it_runs():
    assert runs.host("one", "trixie", SEEN) == HOST
    rocky = {**SEEN, "distribution": {"id": "rocky", "name": "Rocky Linux", "version": "9.0"}}
    assert runs.host("one", "trixie", rocky)["simulates"] == "Enterprise Linux 9"
    ubuntu = {**SEEN, "distribution": {"id": "ubuntu", "name": "Ubuntu", "version": "noble"}, "environments": True}
    found = runs.host("one", "trixie", ubuntu)
    assert (found["runs"], found["simulates"]) == ("Debian 13", "Ubuntu 24.04")
    assert "model_runtime" in found["roles"]


@pytest.mark.parametrize(
    "package",
    ["nvidia-kernel-open-dkms", "nvidia-kernel-dkms", "nvidia-open-kernel-dkms", "nvidia-dkms-580-server-open"]
    + ["kmod-nvidia-open-dkms", "kmod-nvidia-latest-dkms"],
)
def test_the_driver_is_known_by_its_modules(package):
    assert runs._COMPONENT["NVIDIA driver"].fullmatch(package)


def test_the_program_that_hosts_run_says_all_that_is_read():
    program = (ROOT / "tools/hosts/what_runs.py").read_text()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout).keys() == SEEN.keys()
    runs.host("here", "trixie", json.loads(done.stdout))


def test_a_note_is_no_file_of_the_repository(monkeypatch, tmp_path):
    assert (ROOT / ".gitignore").read_text().splitlines().count("/.build/") == 1
    assert runs.NOTES.is_relative_to(ROOT / ".build")
    monkeypatch.setattr(runs, "NOTES", tmp_path / "notes")
    monkeypatch.setattr(runs, "RECORDS", tmp_path / "runs.json")
    assert runs.main(["vm"]) == 0
    assert runs.main([]) == runs.main(["--help"]) == 2
    assert runs.known()["vm"].keys() == {"date", "commit", "sources", "controller", "evidence"}
    assert runs.recorded() == {}
    runs.write({"vm": record(date="2999-01-01")})
    assert runs.known()["vm"]["date"] == "2999-01-01"
    runs.write({"vm": record(date=None)})
    assert runs.known()["vm"]["date"] != "2999-01-01"


def test_another_ansible_core_is_a_run_of_its_own(monkeypatch):
    assert runs.ring_of_scenario("component") == "molecule/component"
    monkeypatch.setattr(runs.importlib.metadata, "version", lambda name: "2.18.1")
    assert runs.ring_of_scenario("component") == "ansible-core-2.18/component"


def test_sources_are_those_of_plugins_and_roles(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "tests").mkdir()
    before = runs.sources()
    (tmp_path / "tests/new.py").touch()
    assert runs.sources() == before
    (tmp_path / "plugins/new.py").touch()
    assert runs.sources() != before


def test_a_commit_is_told_only_of_what_is_committed(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(tmp_path)]
    assert runs.commit() is None
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/a.py").touch()
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    assert runs.commit() and len(runs.commit()) == 12
    (tmp_path / "plugins/a.py").write_text("x")
    assert runs.commit() is None
