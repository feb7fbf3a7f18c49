# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin as ansible-inventory runs it, and the documents that it reads and refuses.

tests/unit/data/terraform/README.md says which of these were recorded and which are handwritten.
"""

from __future__ import annotations

import csv
import json
import os
import pathlib
import subprocess
import sys

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.plugin_utils._terraform import gpus, read
from ansible_collections.mlops.hosts.plugins.plugin_utils._terraform.document import parse
from ansible_collections.mlops.hosts.plugins.plugin_utils._terraform.hosts import check_variable, hosts

ROOT = pathlib.Path(__file__).resolve().parents[4]
DATA = ROOT / "tests/unit/data/terraform"
STATE = DATA / "handwritten_state.tfstate"
SHOWN = DATA / "handwritten_show.json"
SECRET = "hunter2-not-a-real-secret"
OUTPUT = {"mlops_hosts": {"sensitive": False, "type": "dynamic", "value": {"ml1": {"address": "10.0.0.4"}}}}


def found(text, output="mlops_hosts", variables=None):
    document = parse(text if isinstance(text, str) else json.dumps(text), "it")
    return hosts(document, "it", output=output, group_tag="mlops_groups", variables=variables or {})


def output(**host):
    return {"mlops_hosts": {**OUTPUT["mlops_hosts"], "value": {"ml1": {"address": "10.0.0.4", **host}}}}


def inventory(folder, config, *arguments, host=None):
    """What ansible-inventory says with that configuration, and its exit code."""
    (folder / "x.terraform.yml").write_text(f"plugin: mlops.hosts.terraform\n{config}")
    collections = folder / "collections/ansible_collections/mlops"
    collections.mkdir(parents=True, exist_ok=True)
    if not (collections / "hosts").exists():
        (collections / "hosts").symlink_to(ROOT)
    what = ["--host", host] if host else ["--list"]
    return subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "ansible-inventory"), "-i", "x.terraform.yml", *what, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def listed_by(done):
    """The answer of ansible-inventory, without its marks of texts that are no templates."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, object_hook=lambda item: item.get("__ansible_unsafe", item))


@pytest.mark.parametrize("path", [STATE, SHOWN], ids=["state", "show"])
def test_machines_of_three_clouds(path):
    one = {host.name: host for host in found(path.read_text())}
    assert list(one) == ["aws_spot_instance_request.spot_0", "gw1", "ml1", "nd-0", "t4-0"]
    assert {name: host.address for name, host in one.items()} == {
        "aws_spot_instance_request.spot_0": "10.0.0.13",
        "gw1": "10.0.0.12",
        "ml1": "10.0.0.11",
        "nd-0": "10.2.0.4",
        "t4-0": "10.1.0.4",
    }
    assert one["ml1"].groups == ("ml_hosts", "canary")
    assert one["t4-0"].groups == ("ml_hosts", "t4_hosts")
    assert one["ml1"].facts == {
        "resource": 'module.fleet["a"].aws_instance.host["ml1"]',
        "type": "aws_instance",
        "cloud": "aws",
        "id": "i-0a1",
        "name": "ml1",
        "instance_type": "p5.48xlarge",
        "region": "us-east-1",
        "zone": "us-east-1a",
        "private_address": "10.0.0.11",
        "public_address": None,
        "tags": {
            "Name": "ml1",
            "mlops_groups": "ml_hosts,canary",
            "LogHost": "log1",
            "Team": "{{ lookup('pipe', 'touch owned') }}",
        },
        "tainted": False,
        "gpu": {"vendor": "nvidia", "model": "H100", "count": 8, "memory_gb": 80, "partial": False},
    }
    gpu = {name: host.facts["gpu"] for name, host in one.items()}
    assert gpu["gw1"] is None
    assert (gpu["t4-0"]["model"], gpu["t4-0"]["count"]) == ("T4", 2)
    assert (gpu["nd-0"]["model"], gpu["nd-0"]["memory_gb"]) == ("H200", 141)
    assert gpu["aws_spot_instance_request.spot_0"] == {
        "vendor": "nvidia",
        "model": "L4",
        "count": 1,
        "memory_gb": 3,
        "partial": True,
    }
    assert {name: host.facts["tainted"] for name, host in one.items() if host.facts["tainted"]} == {"gw1": True}
    assert one["aws_spot_instance_request.spot_0"].facts["region"] == "us-west-2"
    assert (one["t4-0"].facts["region"], one["t4-0"].facts["public_address"]) == ("europe-west4", "198.51.100.7")
    assert SECRET not in repr(one)


@pytest.mark.parametrize("name", ["terraform.tfstate", "output.json"])
def test_the_output_of_a_recorded_document(name):
    gateway, model = found((DATA / "0.15.0" / name).read_text())
    assert (gateway.name, gateway.address, gateway.groups) == ("gw1", "10.0.0.5", ("gateways",))
    assert (model.name, model.variables, model.facts["tags"]) == ("ml1", {"ansible_user": "admin"}, {"team": "serving"})
    assert (model.facts["gpu"]["model"], model.facts["gpu"]["count"]) == ("L4", 4)
    assert model.facts.keys() == found(STATE.read_text())[0].facts.keys()


def test_variables_of_tags():
    one = {host.name: host.variables for host in found(STATE.read_text(), variables={"LogHost": "fleet_log_host"})}
    assert (one["ml1"], one["gw1"]) == ({"fleet_log_host": "log1"}, {})


def test_nothing_exists():
    assert found({"format_version": "1.0"}) == ()
    assert found({"version": 4, "outputs": {}, "resources": []}) == ()


REFUSED = {
    "empty": ("", "is empty; it is still being written"),
    "half written": (STATE.read_text()[:2000], "is no whole JSON document"),
    "a list": ("[]", "must be a JSON object, and is a list"),
    "newer state": ({"version": 10, "resources": []}, "is a state of version 10, and 4 .* use a newer mlops.hosts"),
    "older state": ({"version": 3, "modules": []}, "is a state of version 3, and 4 .* Terraform 0.12"),
    "newer show": ({"format_version": "2.0", "values": {}}, "the format 2.0 .* use a newer mlops.hosts"),
    "a plan": ({"format_version": "1.2", "planned_values": {}}, "is a plan, of hosts that may not exist yet"),
    "encrypted": (
        {"serial": 1, "lineage": "", "meta": {}, "encrypted_data": "AA==", "encryption_version": "v0"},
        "is encrypted by OpenTofu; give what tofu show -json prints",
    ),
    "backend": ({"version": 3, "backend": {"type": "s3"}}, "only says where the state is kept"),
    "lacking": ({"version": 4, "outputs": {}, "resources": [{"type": "aws_instance"}]}, "lacks what its format has"),
    "another": ({"hosts": ["a"]}, "is no document of Terraform that is known"),
    "no output": ({"other": OUTPUT["mlops_hosts"]}, "must have the output mlops_hosts, and has other"),
    "no outputs": ({}, "must have the output mlops_hosts, and has none"),
    "sensitive": ({"mlops_hosts": {"sensitive": True, "type": "", "value": {}}}, "is marked sensitive"),
    "a list of hosts": ({"mlops_hosts": {"sensitive": False, "value": []}}, "must be a map of hosts, and is a list"),
    "no address": ({"mlops_hosts": {"sensitive": False, "value": {"a": {}}}}, "must be an object with an address"),
    "an unknown key": (output(group="ml_hosts"), "may have address, groups, .* and has group"),
    "a bad group": (output(groups=["ml-hosts"]), "has the group 'ml-hosts'"),
    "groups in a text": (output(groups="ml_hosts"), "must have a list as groups"),
    "an option of ssh": (output(address="-oProxyCommand=touch owned"), "must have an IP address or a name of DNS"),
    "a connection": (output(variables={"ansible_connection": "local"}), "sets ansible_connection; of Ansible's own"),
}


@pytest.mark.parametrize(("text", "problem"), REFUSED.values(), ids=REFUSED)
def test_refused(text, problem):
    with pytest.raises(HostError, match=problem):
        found(text)


def machines(*values):
    instances = [{"index_key": place, "attributes": one} for place, one in enumerate(values)]
    resource = {"mode": "managed", "type": "aws_instance", "name": "gpu", "instances": instances}
    return {"version": 4, "outputs": {}, "resources": [resource]}


def test_a_machine_without_an_address_is_refused():
    with pytest.raises(HostError, match=r"aws_instance.gpu\[0\] must have an address, and has none"):
        found(machines({"id": "i-1", "tags": {"Name": "a"}}))


def test_a_name_of_signs_alone_is_refused():
    with pytest.raises(HostError, match=r"aws_instance.gpu\[0\] has the name '--'"):
        found(machines({"private_ip": "10.0.0.1", "tags": {"Name": "--"}}))


def test_two_hosts_of_one_name_are_refused():
    one = {"private_ip": "10.0.0.1", "tags": {"Name": "gpu"}}
    with pytest.raises(HostError, match=r"two hosts are named gpu: aws_instance.gpu\[0\] and aws_instance.gpu\[1\]"):
        found(machines(one, {**one, "private_ip": "10.0.0.2"}))


def test_a_group_of_a_tag_that_is_none_is_refused():
    with pytest.raises(HostError, match="has the group '2nd'"):
        found(machines({"private_ip": "10.0.0.1", "tags": {"mlops_groups": "ml_hosts 2nd"}}))


def test_variables_that_may_be_set():
    for name in ("ansible_user", "ansible_port", "log_host"):
        check_variable(name, "it")
    for name in ("ansible_ssh_common_args", "ansible_python_interpreter", "a b", "{{ x }}"):
        with pytest.raises(HostError, match="it (sets|has the variable)"):
            check_variable(name, "it")


def test_gpus_of_instance_types():
    with open(gpus.FOLDER / "gpu_instances.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(gpus.FOLDER / "gpu_sources.csv", encoding="utf-8", newline="") as file:
        sources = {row["source"]: row for row in csv.DictReader(file)}
    assert {row["source"] for row in rows} == sources.keys()
    assert all(row["url"].startswith("https://") and row["date"] for row in sources.values())
    names = [row["instance_type"].lower() for row in rows]
    assert len(set(names)) == len(names)
    assert {row["vendor"] for row in rows} == {"nvidia", "amd"}
    for row in rows:
        if row["cloud"] != gpus.ACCELERATORS:
            assert gpus.of_instance(row["instance_type"]).count == int(row["count"]) > 0
    assert gpus.of_instance("STANDARD_nc24ads_A100_v4").model == "A100"
    assert gpus.of_instance("m7i.large") is gpus.of_instance(None) is gpus.of_instance("nvidia-l4") is None
    assert gpus.of_accelerators([]) is gpus.of_accelerators(None) is None
    assert gpus.of_accelerators([{"type": "nvidia-tesla-t4-vws", "count": 1}]).model == "T4"
    assert gpus.of_accelerators([{"type": "ct6e", "count": 8}]) is None


def test_a_locked_state_is_refused(tmp_path):
    state = tmp_path / "terraform.tfstate"
    state.write_text(STATE.read_text())
    assert read.read(state) == STATE.read_text()
    # The name that Terraform 0.15.0 gives it.
    (tmp_path / ".terraform.tfstate.lock.info").write_text('{"Operation": "OperationTypeApply"}')
    with pytest.raises(HostError, match="is locked by a run of Terraform"):
        read.read(state)


def test_ansible_inventory_of_a_state(tmp_path):
    (tmp_path / "fleet.tfstate").write_text(STATE.read_text())
    config = """
path: fleet.tfstate
variables: {LogHost: fleet_log_host}
compose: {ansible_host: terraform.public_address or terraform.private_address}
groups: {gpu_hosts: terraform.gpu is not none}
keyed_groups: [{key: terraform.gpu.model, prefix: gpu}, {key: terraform.zone, prefix: zone}]
"""
    done = inventory(tmp_path, config)
    listed = listed_by(done)
    assert sorted(listed["gpu_hosts"]["hosts"]) == ["aws_spot_instance_request.spot_0", "ml1", "nd-0", "t4-0"]
    assert {name for name in listed if name.startswith("gpu_")} == {
        "gpu_hosts",
        "gpu_H100",
        "gpu_H200",
        "gpu_L4",
        "gpu_T4",
    }
    assert listed["ml_hosts"]["hosts"] == ["ml1", "nd-0", "t4-0"]
    assert listed["zone_us_east_1a"]["hosts"] == ["gw1", "ml1"]
    values = listed["_meta"]["hostvars"]
    assert (values["gw1"]["ansible_host"], values["ml1"]["ansible_host"]) == ("203.0.113.9", "10.0.0.11")
    assert values["ml1"]["fleet_log_host"] == "log1"
    assert SECRET not in done.stdout


def test_a_tag_is_never_a_template(tmp_path):
    (tmp_path / "fleet.tfstate").write_text(STATE.read_text())
    inventory(tmp_path, "path: fleet.tfstate")
    playbook = "- {hosts: ml1, gather_facts: false, tasks: [{debug: {msg: '{{ terraform.tags.Team }}'}}]}"
    (tmp_path / "play.yml").write_text(playbook)
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", "x.terraform.yml", "play.yml"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "touch owned" in done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "owned").exists()


def test_ansible_inventory_of_a_program(tmp_path):
    """The program is simulated: it prints what was handwritten."""
    program = tmp_path / "fake_tofu"
    program.write_text(f'#!/bin/sh\n[ "$*" = "show -json" ] || exit 3\npwd >ran\ncat {SHOWN}\n')
    program.chmod(0o755)
    (tmp_path / "infrastructure").mkdir()
    done = inventory(tmp_path, f"program: {program}\nproject: infrastructure", host="ml1")
    assert listed_by(done)["terraform"]["instance_type"] == "p5.48xlarge"
    assert (tmp_path / "infrastructure/ran").read_text().strip() == str(tmp_path / "infrastructure")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'Error: no credentials' >&2; exit 1", "exited with status 1 in .*: Error: no credentials"),
        ("exec sleep 60", "did not end within 1 s"),
    ],
    ids=["fails", "hangs"],
)
def test_a_program_that_fails(tmp_path, script, problem):
    program = tmp_path / "fake_tofu"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(HostError, match=problem):
        read.show(str(program), tmp_path, timeout_s=1 if "sleep" in script else 60)
    with pytest.raises(HostError, match="must be a program"):
        read.show(str(tmp_path / "none"), tmp_path, timeout_s=60)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("path: none.tfstate", "must be a file that can be read"),
        ("path: half.tfstate", "half.tfstate is no whole JSON document"),
        ("path: a\nprogram: terraform", "one of path and program must be set"),
        ("strict: true", "one of path and program must be set"),
        ("path: a\nvariables: {Args: ansible_ssh_common_args}", "the option variables sets ansible_ssh_common_args"),
    ],
)
def test_a_problem_is_said_in_a_sentence(tmp_path, config, problem):
    (tmp_path / "half.tfstate").write_text(STATE.read_text()[:500])
    done = inventory(tmp_path, config)
    assert done.returncode != 0
    assert problem in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_example_reads_what_its_module_outputs(tmp_path):
    """The module's output has the keys that the plugin takes, and the example's inventory file can be read."""
    text = (ROOT / "examples/terraform/outputs.tf").read_text()
    for key in ("address", "groups", "instance_type", "tags", "variables"):
        assert f"      {key} " in text
    config = (ROOT / "examples/terraform/fleet.terraform.yml").read_text()
    (tmp_path / "hosts.json").write_text((DATA / "0.15.0/output.json").read_text())
    done = inventory(tmp_path, config.replace("plugin: mlops.hosts.terraform\n", "").replace("---\n", ""))
    assert listed_by(done)["gpu_L4"]["hosts"] == ["ml1"]
