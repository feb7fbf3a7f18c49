# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment that users build holds this version, and what the tests run with."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/execution-environment/execution-environment.yml"


def load(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("program", ["ansible_core", "ansible_runner"])
def test_programs_have_the_version_that_is_tested(program):
    pinned = load(EXAMPLE)["dependencies"][program]["package_pip"]
    assert pinned in re.findall(r"^(\S+==\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


def test_the_artifact_is_the_one_that_is_built():
    galaxy, example = load(ROOT / "galaxy.yml"), load(EXAMPLE)
    built = f"{galaxy['namespace']}-{galaxy['name']}-{galaxy['version']}.tar.gz"
    assert [one["src"] for one in example["additional_build_files"]] == [built]
    assert example["dependencies"]["galaxy"]["collections"] == [{"name": built, "type": "file"}]


def test_nothing_is_fetched_from_galaxy_since_nothing_is_needed():
    assert load(ROOT / "galaxy.yml")["dependencies"] == {}
    assert load(EXAMPLE)["build_arg_defaults"]["ANSIBLE_GALAXY_CLI_COLLECTION_OPTS"] == "--offline"


def test_what_the_builder_asks_the_collection_for_is_shipped():
    ignored = load(ROOT / "galaxy.yml")["build_ignore"]
    for path in load(ROOT / "meta/execution-environment.yml")["dependencies"].values():
        assert (ROOT / path).is_file()
        assert path.split("/")[0] not in ignored


def test_the_project_runs_each_playbook_of_the_collection_by_its_name():
    for playbook in sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml")):
        if playbook == "awx":  # it makes the templates, and is no job of one
            continue
        (play,) = load(ROOT / "examples/awx" / f"{playbook}.yml")
        assert play["ansible.builtin.import_playbook"] == f"mlops.hosts.{playbook}"
