# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs in the execution environment change real hosts, and end as the playbook did. They go on from each other."""

from __future__ import annotations

import hashlib
import json

import yaml
from awx_job import HOSTS, report

# What a survey's answers are: text, also where a list, a number or a boolean is meant.
FIRST = b"a model of the tests"
ANSWERS = {
    "model_store_artifacts": yaml.safe_dump(
        [{"name": "tiny", "source": "file:///srv/tiny.bin", "sha256": hashlib.sha256(FIRST).hexdigest()}]
    ),
    "model_store_reserve_mib": "16",
    "model_store_mount_required": "no",
    "gpu_events_state": "present",
}
# No survey can answer this: ansible-core 2.19 reads an empty text of AWX as null.
NO_METRICS = {"gpu_events_textfile_dir": ""}
# The same, as somebody would write them into an inventory.
INVENTORY = {
    "model_store_artifacts": yaml.safe_load(ANSWERS["model_store_artifacts"]),
    "model_store_reserve_mib": 16,
    "gpu_events_state": "present",
    **NO_METRICS,
}
STORED = "import pathlib; print(pathlib.Path('/var/lib/mlops-models/models/tiny/current/tiny.bin').read_bytes())"


def put(content):
    return f"import pathlib; pathlib.Path('/srv/tiny.bin').write_bytes({content!r})"


def test_the_site_takes_answers_as_text(fleet):
    fleet.on_hosts(put(FIRST))
    job = fleet.job("site.yml", ANSWERS, inventory=NO_METRICS)
    assert (job.rc, job.status) == (0, "successful"), job.output
    assert set(job.changed) == set(HOSTS)
    assert set(fleet.on_hosts(STORED).values()) == {str(FIRST)}


def test_what_text_became_is_what_the_inventory_means(fleet):
    job = fleet.job("site.yml", inventory=INVENTORY)
    assert (job.rc, job.changed) == (0, {}), job.output


def test_an_answer_with_no_meaning_is_refused_in_a_sentence(fleet):
    job = fleet.job(
        "site.yml",
        {**ANSWERS, "model_store_reserve_mib": "plenty", "model_store_mount_required": "perhaps"},
        inventory=NO_METRICS,
    )
    said = " ".join(job.output.split())
    assert (job.rc, job.status, job.changed) == (2, "failed", {})
    assert (
        "model_store_reserve_mib must be a whole number, not 'plenty'; for example: model_store_reserve_mib: 1024."
        in said
    )
    assert "model_store_mount_required must be true or false, not 'perhaps'" in said


def test_text_that_is_no_list_is_refused(fleet):
    job = fleet.job("site.yml", {**ANSWERS, "model_store_artifacts": "tiny"}, inventory=NO_METRICS)
    assert job.rc == 2
    assert "model_store_artifacts must be a list of dictionaries, or such a list as YAML or JSON text" in " ".join(
        job.output.split()
    )


def test_an_answer_is_no_template(fleet):
    job = fleet.job("site.yml", {**ANSWERS, "model_store_reserve_mib": "{{ 7 * 6 }}"}, inventory=NO_METRICS)
    assert (job.rc, job.changed) == (2, {})
    assert "model_store_reserve_mib must be a whole number, not '{{ 7 * 6 }}'" in " ".join(job.output.split())


def test_an_audit_that_finds_nothing_is_a_successful_job(fleet):
    job = fleet.job("audit.yml", ANSWERS, inventory=NO_METRICS)
    assert (job.rc, job.status) == (0, "successful"), job.output
    assert {host["state"] for host in report(job.artifacts / "project/audit")["hosts"]} == {"ok"}


def test_drift_reaches_the_job_as_its_exit_code(fleet):
    fleet.on_hosts("import os; os.chmod('/var/lib/mlops-models/models/tiny/current/tiny.bin', 0o444)")
    job = fleet.job("audit.yml", inventory=INVENTORY)
    assert (job.rc, job.status) == (16, "failed"), job.output
    assert "exit code 16: " in job.output
    events = [json.loads(path.read_text()) for path in job.artifacts.glob("artifacts/job/job_events/*.json")]
    assert [one["event"] for one in events].count("playbook_on_stats") == 1


def test_a_host_that_cannot_be_compared_is_another_code(fleet):
    job = fleet.job("audit.yml", {"model_store_artifacts": "tiny"}, inventory=NO_METRICS)
    assert (job.rc, job.status) == (2, "failed")


def test_a_limit_says_what_it_left_out(fleet):
    job = fleet.job("audit.yml", inventory=INVENTORY, limit="ml1")
    found = report(job.artifacts / "project/audit")
    assert (job.rc, [host["name"] for host in found["hosts"]], found["not_in_run"]) == (16, ["ml1"], ["ml2"])


def test_each_slice_of_an_audit_has_a_report_of_its_own(fleet):
    """AWX gives each slice an inventory of its own hosts, and a number of its own: awx_job_id."""
    answers = {"awx_audit_dir": "/shared"}
    slices = [fleet.job("audit.yml", answers, inventory=INVENTORY, hosts=[name]) for name in HOSTS]
    assert [job.rc for job in slices] == [16, 16]
    reports = [report(folder) for folder in sorted(fleet.shared.iterdir(), key=lambda folder: int(folder.name))]
    assert [[host["name"] for host in one["hosts"]] for one in reports] == [[name] for name in HOSTS]


def test_a_rollout_takes_its_models_as_text(fleet):
    second = b"another model of the tests"
    fleet.on_hosts(put(second))
    sha256 = hashlib.sha256(second).hexdigest()
    answers = {
        **ANSWERS,
        "model_store_artifacts": f"[{{name: tiny, source: 'file:///srv/tiny.bin', sha256: {sha256}}}]",
        "model_rollout_batches": "1",
    }
    job = fleet.job("model_rollout.yml", answers, inventory=NO_METRICS)
    assert (job.rc, job.status) == (0, "successful"), job.output
    assert set(fleet.on_hosts(STORED).values()) == {str(second)}


TOKEN = "hf_of_the_tests"


def test_a_secret_of_a_credential_is_read_from_its_file_and_is_nowhere_else(fleet):
    artifacts = [
        {
            **INVENTORY["model_store_artifacts"][0],
            "token": "{{ lookup('file', lookup('env', 'MLOPS_HUB_TOKEN_FILE')) }}",
        }
    ]
    fleet.on_hosts(put(FIRST))
    inventory = {**INVENTORY, "model_store_artifacts": artifacts}
    without = fleet.job("site.yml", inventory=inventory)
    assert without.rc == 2, without.output
    job = fleet.job("site.yml", inventory=inventory, credential=("hub_token", {"token": TOKEN}))
    assert job.rc == 0, job.output
    holding = [
        path for path in job.artifacts.rglob("*") if path.is_file() and TOKEN in path.read_text(errors="replace")
    ]
    assert holding == [job.artifacts / "env/credential"]
