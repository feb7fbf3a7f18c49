# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic
from ansible_collections.mlops.hosts.plugins.modules import python_environment
from ansible_collections.mlops.hosts.tests.unit.fake_python import SET, FakePython

PASSWORD = "a-password-that-must-not-be-seen"


@pytest.fixture
def module(monkeypatch, capsys, tmp_path):
    """Run main() as Ansible does, with a Python that is simulated: arguments in, one JSON document out."""
    python = tmp_path / "python3.11"
    python.write_text("")
    python.chmod(0o755)
    fake = FakePython("3.11")
    monkeypatch.setattr(python_environment, "ModuleRunner", lambda _module: fake)

    def run(*, check=False, says=None, **arguments):
        fake.says = says or {}
        given = {"name": "vllm", "base": str(tmp_path / "base"), "python": str(python), **arguments}
        document = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check, **given}}).encode()
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", document)
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            python_environment.main()
        output = capsys.readouterr().out
        assert PASSWORD not in output
        result = json.loads(output)
        result.pop("invocation", None)
        return result

    return run


def test_an_environment_comes_stays_and_goes(module, tmp_path):
    planned = module(requirements=SET, check=True)
    assert planned["changed"] and not (tmp_path / "base").exists()
    done = module(requirements=SET)
    assert {**done, **planned} == done
    assert not module(requirements=SET)["changed"]
    assert module(state="absent")["removed"] == [planned["path"]]


def test_a_login_is_not_seen_even_when_it_fails(module, monkeypatch):
    logged = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda _module, text, **more: logged.append(f"{text} {more}"))
    index = f"https://reader:{PASSWORD}@index.example.com/simple"
    assert module(requirements=SET, index_url=index)["changed"]
    refused = module(requirements=f"demo==1 --hash=sha256:{'c' * 64}", says={"install": "pip/23.0.1/hash-mismatch"})
    assert refused["failed"] and refused["rc"] == 1 and "demo==1.0 has the sha256" in refused["msg"]
    assert logged and PASSWORD not in "".join(logged)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "state is present but all of the following are missing: requirements"),
        ({"requirements": SET, "wheels": "/w", "index_url": "https://i"}, "mutually exclusive: wheels|index_url"),
        ({"requirements": "demo"}, "requirements, line 1: demo is not pinned as name==version"),
    ],
)
def test_refusals_are_one_sentence(module, options, said):
    assert module(**options)["msg"].startswith(said) or said in module(**options)["msg"]
