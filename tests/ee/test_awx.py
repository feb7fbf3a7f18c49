# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/awx.yml with the real modules of awx.awx, and a fake of AWX's API."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
from awx_job import HERE, PROJECT, report

from tools.hosts.docker_engine import ROOT
from tools.hosts.ssh import free_port

TOKEN = "token-of-the-fake"
SECRET = "hf_secret_of_the_tests"
SETTINGS = {
    "awx_project_url": "https://git.example.org/fleet.git",
    "awx_inventory_path": "inventory/hosts.yml",
    "awx_image": "registry.example.org/mlops-hosts-ee:0.1.0",
    "awx_job_credentials": ["machines", "hub"],
    "awx_notifications": ["operators"],
    "awx_audit_dir": "/shared",
    "awx_credentials": [{"name": "hub", "type": "hub_token", "inputs": {"token": SECRET}}],
    "awx_surveys": {"site": ["gpu_events_state", "gpu_events_storm_window_s", "model_store_artifacts"]},
}


class Awx:
    """The fake, and runs of the playbook."""

    def __init__(self, collections):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.collections = collections
        argv = [sys.executable, ROOT / "tools/fakes/fake_awx.py", f"--port={self.url.rpartition(':')[2]}"]
        self.process = subprocess.Popen([*argv, f"--token={TOKEN}", f"--project={PROJECT}"])
        for _ in range(100):
            with contextlib.suppress(urllib.error.URLError):
                self.objects()
                return
            time.sleep(0.1)
        raise AssertionError("the fake does not answer")

    def objects(self):
        return self.ask("/fake/objects")

    def named(self, kind):
        return {one["name"]: one for one in self.objects()[kind]}

    def ask(self, path, given=None):
        data = None if given is None else json.dumps(given).encode()
        request = urllib.request.Request(self.url + path, data, {"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def play(self, settings=SETTINGS, *options):
        """What it changed, and its output."""
        done = subprocess.run(
            [
                Path(sys.executable).parent / "ansible-playbook",
                "mlops.hosts.awx",
                f"--extra-vars={json.dumps(settings)}",
                *options,
            ],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/.build/collections:{self.collections}",
                "ANSIBLE_NOCOLOR": "1",
                "CONTROLLER_HOST": self.url,
                "CONTROLLER_OAUTH_TOKEN": TOKEN,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-5000:]
        return int(re.search(r"changed=(\d+)", output)[1]), output


@pytest.fixture(scope="session")
def collections():
    """A folder with awx.awx."""
    folder = HERE / "awx"
    if not list(folder.glob("*.whl")):
        argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
        lock = ROOT / "tests/ee/awx-collection.lock"
        subprocess.run([*argv, f"--requirement={lock}", f"--dest={folder}"], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(
            folder / "collections",
            [name for name in archive.namelist() if name.startswith("ansible_collections/awx/awx/")],
        )
    return folder / "collections"


@pytest.fixture(scope="session")
def awx(collections):
    """It was played once."""
    awx = Awx(collections)
    awx.changed, awx.output = awx.play()
    yield awx
    awx.process.terminate()
    awx.process.wait()


def test_a_second_run_changes_nothing_and_says_no_secret(awx):
    changed, output = awx.play(SETTINGS, "-vvv", "--diff")
    assert (awx.changed > 5, changed) == (True, 0)
    assert SECRET not in awx.output + output + json.dumps(awx.objects())


def test_check_mode_of_what_is_there_changes_nothing(awx):
    before = awx.objects()
    assert awx.play({**SETTINGS, "awx_image": "registry.example.org/other:1"}, "--check")[0] == 1
    assert awx.objects() == before


def test_each_playbook_has_a_template_that_runs_it_with_everything_it_needs(awx):
    templates = awx.named("job_templates")
    # Those that docs/awx.md lists; others of the example are for templates of the reader's own.
    desired = {"audit.yml", "driver_upgrade.yml", "model_rollback.yml", "model_rollout.yml", "site.yml"}
    assert {one["playbook"] for one in templates.values()} == desired
    assert desired <= {path.name for path in PROJECT.glob("*.yml")}
    project, inventory, image = (
        awx.named(kind)["ML hosts"] for kind in ("projects", "inventories", "execution_environments")
    )
    credentials = {one["id"] for one in awx.named("credentials").values()}
    for one in templates.values():
        assert (one["project"], one["inventory"], one["execution_environment"]) == (
            project["id"],
            inventory["id"],
            image["id"],
        )
        assert set(one["lists"]["credentials"]) == credentials
        assert one["job_slice_count"] == 1
    assert image["image"] == SETTINGS["awx_image"]
    assert json.loads(templates["ML hosts: audit"]["extra_vars"]) == {"awx_audit_dir": "/shared"}


def test_only_templates_that_ask_have_a_survey(awx):
    asked = {
        name: [question["variable"] for question in one["survey"]["spec"]]
        for name, one in awx.named("job_templates").items()
        if one["survey_enabled"]
    }
    assert asked == {
        "ML hosts: driver upgrade": ["gpu_driver_version", "gpu_driver_reboot"],
        "ML hosts: site": SETTINGS["awx_surveys"]["site"],
    }


@pytest.mark.parametrize(
    ("workflow", "order"),
    [
        ("ML hosts: audit, approve, driver upgrade", [("audit", "always"), ("approve", "success"), ("upgrade", None)]),
        (
            "ML hosts: canary, approve, model rollout",
            [("canary", "success"), ("approve", "success"), ("rollout", None)],
        ),
    ],
)
def test_a_workflow_waits_for_an_approval(awx, workflow, order):
    objects = awx.objects()
    number = awx.named("workflow_job_templates")[workflow]["id"]
    nodes = {
        one["identifier"]: one
        for one in objects["workflow_job_template_nodes"]
        if one["workflow_job_template"] == number
    }
    assert list(nodes) == [name for name, _ in order]
    for (name, link), (after, _) in zip(order, order[1:]):
        assert nodes[name]["lists"] == {f"{link}_nodes": [nodes[after]["id"]]}
    approvals = {one["id"] for one in objects["workflow_approval_templates"]}
    assert nodes["approve"]["unified_job_template"] in approvals
    if "canary" in nodes:
        assert (nodes["canary"]["limit"], nodes["rollout"]["limit"]) == ("ml_hosts[0]", None)


def test_an_audit_is_made_each_night_and_told_of(awx):
    audit = awx.named("job_templates")["ML hosts: audit"]
    (schedule,) = awx.objects()["schedules"]
    assert schedule["unified_job_template"] == audit["id"]
    assert "FREQ=DAILY" in schedule["rrule"]
    assert audit["lists"]["notification_templates_error"] == [awx.named("notification_templates")["operators"]["id"]]


def test_answers_of_a_survey_become_a_job(awx, fleet):
    """From the form to the host: what AWX makes of the answers runs in the execution environment."""
    number = awx.named("job_templates")["ML hosts: site"]["id"]
    answers = {"gpu_events_state": "present", "gpu_events_storm_window_s": 30, "model_store_artifacts": "[]"}
    with pytest.raises(urllib.error.HTTPError, match="400"):
        awx.ask(f"/api/v2/job_templates/{number}/launch/", {"extra_vars": {**answers, "gpu_events_state": "perhaps"}})
    launched = awx.ask(f"/api/v2/job_templates/{number}/launch/", {"extra_vars": answers})
    job = fleet.job("site.yml", launched["extra_vars"], inventory={"gpu_events_textfile_dir": ""})
    assert job.rc == 0, job.output
    audit = fleet.job("audit.yml", launched["extra_vars"], inventory={"gpu_events_textfile_dir": ""})
    assert audit.rc == 0, audit.output
    found = report(audit.artifacts / "project/audit")
    assert {one["name"] for host in found["hosts"] for one in host["components"]} >= {"gpu_events"}


def test_a_survey_that_is_no_longer_desired_goes(awx):
    awx.play({**SETTINGS, "awx_surveys": {}})
    site = awx.named("job_templates")["ML hosts: site"]
    assert (site["survey_enabled"], site["survey"]) == (False, None)
