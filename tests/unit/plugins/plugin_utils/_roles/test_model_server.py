# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role ``model_server`` makes of its instances, refuses of them, and requires of a host."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._inference.question import read_api_key
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.paths import path as python_environment
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines import ENGINES
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines.base import Lifecycle, quoted
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines.llama_cpp import LlamaCpp
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.instance import DEFAULTS, GATE
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform, platform
from ansible_collections.mlops.hosts.tests.unit.fakes import FakeReader, refused, requirements_of

from .model_server import (
    FORKY,
    GPU,
    KEY,
    MODEL,
    OPTIONS,
    PACKAGES,
    ROLE,
    built,
    chat,
    code,
    file,
    lines_of_environment,
    made,
    problems,
    run_by_systemd,
    unit_of,
    with_lifecycle,
)


def host_problems(instances, reader, **more):
    found, notices = refused(made(*instances), reader, **more)
    assert notices == []
    return found


def test_defaults_are_those_of_the_argument_specs():
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    options = specs["model_server_instances"]["options"]
    gate = options["gate"]["options"]
    assert {name: option["default"] for name, option in options.items() if "default" in option} == DEFAULTS
    assert {name: option["default"] for name, option in gate.items() if "default" in option} == GATE


def test_the_engines_are_the_choices_of_the_option():
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert specs["model_server_instances"]["options"]["engine"]["choices"] == list(ENGINES)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.name)
def test_the_platforms_of_an_engine_are_those_with_a_row(engine):
    releases = [path.stem.split("_") for path in sorted((ROLE / "vars").glob("*_*.yml"))]
    facts = [dict(zip(("distribution", "distribution_release"), names)) for names in releases]
    known = [platform("model_server", {"os_family": one["distribution"], **one}) for one in facts]
    named = [f"{one.distribution} {one.distribution_release}" for one in known if engine.packages(one)]
    assert named == list(engine.packaged_for)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.name)
def test_an_engine_names_options_of_instances(engine):
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    options = specs["model_server_instances"]["options"]
    of_gate = {f"gate.{name}" for name in options["gate"]["options"]}
    assert (engine.options | engine.reserved.keys()) <= options.keys() | of_gate


def test_the_schema_knows_no_engine():
    files = [*pathlib.Path(room.__file__).parent.glob("*.py"), *ROLE.glob("templates/*")]
    text = "".join(path.read_text() for path in files).lower()
    assert not re.search(f"(?<![a-z])({'|'.join(['llama', 'gguf', *ENGINES])})(?![a-z])", text)


def test_a_second_engine_touches_nothing_else(monkeypatch):
    class Other(LlamaCpp):
        name, program, model, model_kind = "other", "/usr/bin/serve", "a folder of weights", "directory"
        options, dangerous, tokens, reserved = frozenset({"parallel"}), ("--shell",), (), {"port": ("--listen",)}

        def command(self, instance):
            return ["serve", quoted(instance.model_path)]

        def environment(self, instance):
            return {"OTHER": 1, "NOTHING": None}

    monkeypatch.setitem(ENGINES, "other", Other())
    on = dataclasses.replace(FORKY, known={"packages": {"llama_cpp": PACKAGES, "other": [{"name": "other"}]}})
    item = chat(engine="other", parallel=2, environment={"OTHER": 2}, extra_args=["--tools"])
    component = made(item, code(), on=on)
    assert component["packages"] == [{"name": "other"}, *PACKAGES]
    assert file(component, "chat.service")["template_vars"]["__model_server_unit"]["command"] == (
        f'serve "{MODEL}" "--tools"'
    )
    assert file(component, "chat/env")["template_vars"]["__model_server_env"] == ['OTHER="2"']
    (found,) = problems([chat(engine="other", threads=2)])
    assert found == "Model server instance 'chat' has threads, which other does not have; leave it out."
    (found,) = problems([chat(engine="other", extra_args=["--listen=1"])])
    assert "has --listen in extra_args, which the role sets; use port" in found
    (found,) = host_problems([chat(engine="other", binary="/opt/llama-server")], seen())
    assert "which is a file; set model.path to a folder of weights" in found


def test_a_usual_program_is_closed_and_restarted_when_it_fails(monkeypatch):
    unit = with_lifecycle(monkeypatch, Lifecycle())
    assert unit["Restart"] == ["on-failure"]
    assert (unit["TimeoutStopSec"], unit["KillSignal"], unit["KillMode"]) == (["120"], ["SIGTERM"], ["mixed"])
    assert unit["Environment"] == ["HOME=%t/mlops-model-chat"]
    assert (unit["SocketBindDeny"], unit["SocketBindAllow"]) == (["any"], ["tcp:8001"])
    assert unit["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]
    assert (unit["MemoryDenyWriteExecute"], unit["ProcSubset"]) == (["yes"], ["pid"])
    assert unit["SystemCallFilter"][-1] == "~@privileged @resources"
    assert "SuccessExitStatus" not in unit


@pytest.mark.parametrize(
    ("lifecycle", "setting", "values"),
    [
        pytest.param({"restart": "always"}, "Restart", ["always"], id="exits-with-0-when-it-has-died"),
        pytest.param({"start_limit_s": 3600}, "StartLimitIntervalSec", ["3600"], id="starts-slowly"),
        pytest.param({"stop_s": 15}, "TimeoutStopSec", ["15"], id="stops-fast"),
        pytest.param({"stop_signal": "SIGINT"}, "KillSignal", ["SIGINT"], id="stops-by-another-signal"),
        pytest.param({"kill_mode": "control-group"}, "KillMode", ["control-group"], id="all-are-told-to-stop"),
        pytest.param({"clean_exits": ("3", "143")}, "SuccessExitStatus", ["3 143"], id="clean-exits"),
        pytest.param({"compiles": True}, "MemoryDenyWriteExecute", None, id="compiles"),
        pytest.param({"compiles": True}, "ProcSubset", None, id="reads-the-machine"),
        pytest.param({"compiles": True}, "PrivateDevices", ["yes"], id="compiles-without-devices"),
        pytest.param({"workers": True}, "SocketBindDeny", None, id="workers-have-ports"),
        pytest.param({}, "TemporaryFileSystem", None, id="one-process-shares-no-memory"),
        pytest.param(
            {"workers": True}, "TemporaryFileSystem", ["/dev/shm:mode=1777,nosuid,nodev"], id="workers-share-memory"
        ),
        pytest.param(
            {"workers": True}, "RestrictAddressFamilies", ["AF_UNIX AF_INET AF_INET6 AF_NETLINK"], id="workers-look"
        ),
        pytest.param({"workers": True}, "IPAddressAllow", ["localhost"], id="workers-are-on-loopback"),
        pytest.param({"keeps_cache": True}, "Environment", ["HOME=%C/mlops-model-chat"], id="keeps-its-cache"),
        pytest.param({"keeps_cache": True}, "RuntimeDirectory", None, id="has-one-home"),
    ],
)
def test_a_unit_is_what_its_program_needs(monkeypatch, lifecycle, setting, values):
    assert with_lifecycle(monkeypatch, Lifecycle(**lifecycle)).get(setting) == values


def test_a_program_with_gpus_may_compile(monkeypatch):
    unit = with_lifecycle(monkeypatch, Lifecycle(), gpus={"uuids": [GPU]})
    assert "MemoryDenyWriteExecute" not in unit
    assert unit["SystemCallFilter"][-1] == "~@privileged"
    assert unit["DeviceAllow"][0] == "char-nvidia* rw"


@pytest.mark.parametrize(
    ("content", "starts"),
    [
        pytest.param(f"{KEY}\n", True, id="a-key"),
        pytest.param(f"# comment\n\n{KEY}", True, id="after-a-comment"),
        pytest.param('"quoted$(id)%d\n', True, id="signs"),
        pytest.param("", False, id="empty"),
        pytest.param("\n\n", False, id="blank-lines"),
        pytest.param(f"#{KEY}\n", False, id="comment"),
        pytest.param(f"{KEY} \n", False, id="trailing-blank"),
        pytest.param(f"{KEY}\r\n", False, id="carriage-return"),
        pytest.param(f" {KEY}\n", False, id="leading-blank"),
        pytest.param("schlüssel\n", False, id="not-ascii"),
    ],
)
def test_a_server_whose_key_file_holds_no_key_does_not_start(tmp_path, content, starts):
    unit = unit_of(made(chat(binary="/opt/llama-server", api_key_file="/etc/key")))
    key_file = tmp_path / "api_key"
    key_file.write_text(content, newline="")
    done = run_by_systemd(unit["ExecStartPre"][0], key_file)
    assert (done.returncode == 0) is starts
    assert done.stdout == ""
    assert bool(re.search("holds no usable key", done.stderr)) is not starts
    # The gate reads the file in the same way.
    with contextlib.nullcontext() if starts else pytest.raises(HostError, match="holds no usable key"):
        read_api_key(str(key_file))


def test_a_server_without_a_key_needs_no_key():
    assert "ExecStartPre" not in unit_of(made(chat()))


def test_the_gate_proves_that_a_key_closes_the_server():
    found = built(chat(api_key=KEY), code())
    keyed, open_to_all = (condition["inference"] for condition in found.component["ready"])
    assert {"/v1/chat/completions", "/v1/completions", "/completion", "/infill"} <= {*keyed["closed_paths"]}
    assert "closed_paths" not in open_to_all
    assert [probe["closed_paths"] for probe in found.verify["probes"]] == [keyed["closed_paths"], None]
    assert (found.published["open_paths"], found.notices) == ({"chat": [], "code": []}, ())


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_paths_that_a_key_does_not_close_are_told(monkeypatch, host):
    class Other(LlamaCpp):
        name, open_paths = "other", ("/invocations", "/metrics")

    monkeypatch.setitem(ENGINES, "other", Other())
    found = built(chat(engine="other", binary="/opt/serve", host=host, api_key=KEY))
    assert found.published["open_paths"] == {"chat": ["/invocations", "/metrics"]}
    assert list(found.notices) == [
        f"Model server instance 'chat' listens on {host}, where its key does not close /invocations, /metrics; let a "
        "gateway alone reach it, or set host 127.0.0.1."
    ] * (host == "0.0.0.0")


def test_a_stop_of_llama_server_does_not_wait_for_a_stream():
    component = made(chat())
    assert unit_of(component)["TimeoutStopSec"] == ["15"]
    (ping,) = (line for line in lines_of_environment(component) if "PING" in line)
    assert ping == 'LLAMA_ARG_SSE_PING_INTERVAL="5"'


def test_a_usual_instance_has_no_problem():
    assert problems([chat(), code(api_key=KEY), {"name": "old", "state": "absent"}]) == []


@pytest.mark.parametrize(
    ("instances", "problem"),
    [
        pytest.param(
            [chat(engine="none")],
            "asks for engine 'none'; engines that work now: llama_cpp, vllm",
            id="engine-unknown",
        ),
        pytest.param(
            [chat(deployment="kubernetes")],
            "asks for deployment 'kubernetes'; deployments of llama_cpp that work now: native, container",
            id="deployment-unknown",
        ),
        pytest.param([chat(), chat(port=8002)], "'chat' is listed 2 times in model_server_instances", id="name-twice"),
        pytest.param(
            [chat(), {"name": "chat", "state": "absent"}], "'chat' is listed 2 times", id="name-present-and-absent"
        ),
        pytest.param([chat(name="Chat")], "has a name that cannot be part of a unit's", id="name-bad"),
        pytest.param([chat(), code(port=8001)], "'chat' and 'code' both want port 8001", id="port-twice"),
        pytest.param(
            [chat(host="0.0.0.0", api_key=KEY), code(port=8001)], "both want port 8001", id="port-twice-through-all"
        ),
        pytest.param(
            [chat(gpus={"uuids": [GPU]}), code(gpus={"uuids": [GPU]})], f"both want GPU {GPU}", id="gpu-twice"
        ),
        pytest.param([chat(gpus={"uuids": ["0"]})], "has '0' in gpus.uuids", id="gpu-by-index"),
        pytest.param([chat(gpus={"memory_mib": 1})], "has gpus without uuids, count or mig_profile", id="gpus-which"),
        pytest.param([chat(gpus={"count": 0})], "has gpus.count 0", id="gpus-none"),
        pytest.param([chat(gpus={"count": 1, "uuids": [GPU]})], "has gpus.uuids and gpus.count", id="gpus-in-two-ways"),
        pytest.param([chat(gpus={"count": 1, "shared": True})], "has gpus.shared and gpus.count", id="gpus-any-shared"),
        pytest.param(
            [chat(gpus={"uuids": [GPU], "shared": True}), code(gpus={"uuids": [GPU]})],
            f"both want GPU {GPU}",
            id="gpu-shared-by-one",
        ),
        pytest.param([chat(model=None)], "has no model; set model.path", id="model-none"),
        pytest.param([chat(port=None)], "has no port; set port", id="port-none"),
        pytest.param([chat(port=70000)], "has port 70000", id="port-too-high"),
        pytest.param([chat(host="gpu1.lan")], "has host 'gpu1.lan'; set host to an IP address", id="host-name"),
        pytest.param([chat(model={"path": "v1.gguf"})], "has model.path 'v1.gguf'; give an absolute", id="relative"),
        pytest.param(
            [chat(model={"path": "/home/a/v1.gguf"})], "/home/a/v1.gguf, which its unit cannot see", id="home"
        ),
        pytest.param([chat(binary="/tmp/llama-server")], "which its unit cannot see", id="binary-in-tmp"),
        pytest.param([chat(served_name="a,b")], "has a served_name that", id="served-name-with-comma"),
        pytest.param([chat(api_key=KEY, api_key_file="/etc/k")], "has both api_key and api_key_file", id="two-keys"),
        pytest.param([chat(api_key=f"{KEY}\nsk-other")], "has an api_key that cannot be sent", id="key-of-two-lines"),
        pytest.param([chat(api_key=f"{KEY} more")], "printable ASCII without blanks", id="key-with-a-blank"),
        pytest.param([chat(api_key=f"#{KEY}")], "begins with '#'", id="key-that-is-a-comment"),
        pytest.param([chat(api_key="")], "has an api_key that cannot be sent", id="key-empty"),
        pytest.param([chat(host="10.0.0.5")], "listens on 10.0.0.5 and has no API key", id="open-to-all"),
        pytest.param([chat(extra_args=["--api-key", KEY])], "which the role sets; use api_key", id="key-in-argv"),
        pytest.param([chat(extra_args=[f"--hf-token={KEY}"])], "where others can read it", id="token-in-argv"),
        pytest.param([chat(extra_args=["--tools", "all"])], "--tools in extra_args, which hands the host", id="tools"),
        pytest.param([chat(environment={"LLAMA_API_KEY": KEY})], "use api_key", id="key-in-environment"),
        pytest.param([chat(environment={"LLAMA_ARG_AGENT": "1"})], "hands the host", id="agent"),
        pytest.param([chat(environment={"A B": "1"})], "no name of a variable", id="variable-bad"),
        pytest.param([chat(environment={"A": "1\nB=2"})], "has A in environment, whose value", id="variable-two-lines"),
        pytest.param([chat(environment={"A": True})], "whose value is True and not text; write it in quotes", id="on"),
        pytest.param([chat(environment={"A": 0.1})], "whose value is 0.1 and not text", id="variable-of-a-fraction"),
    ],
)
def test_what_is_refused_is_one_sentence_without_the_key(instances, problem):
    (found,) = problems(instances)
    assert problem in found
    assert found.startswith("Model server instance")
    assert found.endswith(".")
    assert KEY not in found


def test_what_is_absent_is_not_validated():
    assert problems([{"name": "old", "state": "absent", "engine": "none"}]) == []


@pytest.mark.parametrize("given", [{"allow_unauthenticated": True}, {"api_key": KEY}, {"api_key_file": "/etc/key"}])
def test_another_address_than_loopback_is_a_choice(given):
    assert problems([chat(host="0.0.0.0", **given)]) == []


def test_a_platform_without_a_package_needs_a_binary():
    trixie = Platform(distribution="Debian", distribution_release="trixie")
    assert built(chat(), on=trixie).problems == (
        "No package with llama-server is known for Debian trixie (known: Debian forky), and model server instance "
        "'chat' has no binary; set its binary to a llama-server on the host, or set model_server_packages.",
    )
    assert built(chat(binary="/opt/llama-server"), on=trixie).problems == ()
    assert built(chat(), on=trixie, packages=PACKAGES).component["packages"] == PACKAGES


def test_a_refused_request_is_no_component():
    found = built(chat(), code(engine="none"))
    assert found.problems
    assert (found.component, found.question, found.verify) == (None, None, None)


def test_without_instances_the_component_owns_nothing():
    component = made({"name": "old", "state": "absent"})
    assert (component.pop("name"), component.pop("state")) == ("model_server", "present")
    assert not any(component.values())


def test_files_restart_only_their_own_instance():
    component = made(chat(), code(api_key=KEY))
    assert [unit["name"] for unit in component["units"]] == ["mlops-model-chat.service", "mlops-model-code.service"]
    for item in component["files"]:
        assert len(item["units"]) == 1
        assert item["units"][0].removesuffix(".service").rpartition("-")[2] in item["path"]


def test_an_instance_is_kept_on_its_host_so_that_it_can_be_had_again():
    artifact = {"name": "tiny", "source": "https://h/tiny.gguf", "sha256": "0" * 64}
    options = {**OPTIONS, "instances": [chat(api_key=KEY, model={"artifact": "tiny"}, parallel=2)]}
    written = room.build({**options, "artifacts": [artifact]}, FORKY)
    kept = file(written.component, "/instance.json")
    assert (kept["path"], kept["on_change"]) == ("/etc/mlops.hosts/model_server/chat/instance.json", "none")
    (shown,) = written.published["serves"].values()
    assert json.loads(kept["content"]) == shown
    assert "api_key" not in shown
    again = room.build({**options, "instances": [{**shown, "api_key": KEY}]}, FORKY)
    assert again.component == written.component


def test_the_key_is_in_one_secret_file_and_nowhere_else():
    found = built(chat(api_key=KEY))
    key_file = file(found.component, "/api_key")
    assert (key_file.pop("content"), key_file["mode"], key_file["secret"]) == (f"{KEY}\n", "0600", True)
    assert KEY not in repr((found.problems, found.component, found.question, found.verify))
    unit = file(found.component, ".service")["template_vars"]["__model_server_unit"]
    assert unit["key_file"] == "/etc/mlops.hosts/model_server/chat/api_key"
    assert unit["command"] == '"/usr/bin/llama-server" --api-key-file %d/api_key'
    assert found.verify["probes"][0]["api_key_file"] == unit["key_file"]


def test_a_key_on_the_host_stays_where_it_is():
    component = made(chat(api_key_file="/etc/keys/chat"))
    assert not [item for item in component["files"] if item.get("secret")]
    assert component["ready"][0]["inference"]["api_key_file"] == "/etc/keys/chat"


def test_the_model_is_named_in_the_configuration_so_that_it_goes_back_with_it():
    lines = file(made(chat(environment={"X": 'a "b" $c \\d'})), "/env")["template_vars"]["__model_server_env"]
    assert f'LLAMA_ARG_MODEL="{MODEL}"' in lines
    assert 'LLAMA_ARG_ENDPOINT_SLOTS="off"' in lines
    assert 'LLAMA_ARG_UI="off"' in lines
    assert r'X="a \"b\" \$c \\d"' in lines
    assert not [line for line in lines if "CUDA" in line]


def test_the_user_may_open_what_is_closed():
    lines = file(made(chat(environment={"LLAMA_ARG_UI": "on"})), "/env")["template_vars"]["__model_server_env"]
    assert 'LLAMA_ARG_UI="on"' in lines


def test_gpus_are_named_and_open_the_unit():
    component = made(chat(gpus={"uuids": [GPU]}))
    assert f'CUDA_VISIBLE_DEVICES="{GPU}"' in file(component, "/env")["template_vars"]["__model_server_env"]
    assert file(component, ".service")["template_vars"]["__model_server_unit"]["gpus"] is True


def test_a_word_is_safe_from_systemd():
    assert quoted('50% of $HOME "a\\b"') == '"50%% of $$HOME \\"a\\\\b\\""'


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001"),
        ("0.0.0.0", "http://127.0.0.1:8001"),
        ("::", "http://[::1]:8001"),
        ("::1", "http://[::1]:8001"),
        ("localhost", "http://localhost:8001"),
        ("10.0.0.5", "http://10.0.0.5:8001"),
    ],
)
def test_the_gate_asks_where_the_server_listens(host, url):
    component = made(chat(host=host, allow_unauthenticated=True, gate={"timeout_s": 7, "expect": "x"}))
    assert component["ready"] == [
        {
            "unit": "mlops-model-chat.service",
            "inference": {"url": url, "model": "chat", "max_tokens": 8, "expect": "x"},
            "timeout_s": 7,
        }
    ]


def test_an_expectation_is_that_of_the_question_and_of_the_verification():
    expectation = "ttft_s < `2`"
    found = built(chat(gate={"expectation": expectation}))
    assert found.component["ready"][0]["inference"]["expectation"] == expectation
    assert found.verify["probes"][0]["expect"] == expectation
    for engine in ("tei", "triton"):
        component = made(chat(engine=engine, binary="/opt/x", gate={"expectation": "dimensions == `32` || outputs"}))
        assert component["ready"][0]["inference"]["expectation"] == "dimensions == `32` || outputs"


@pytest.mark.parametrize(
    ("expectation", "words"),
    [
        pytest.param("ttft_s <", "gate.expectation is not a JMESPath expression", id="syntax"),
        pytest.param("sort(outputs)", "calls sort, which is not evaluated on hosts", id="function"),
    ],
)
def test_an_expectation_that_hosts_cannot_evaluate_is_refused(expectation, words):
    (problem,) = problems([chat(gate={"expectation": expectation})])
    assert problem.startswith("Model server instance 'chat' has a gate that cannot be used: ") and words in problem


def test_limits_of_the_gate_are_those_of_the_question():
    (ready,) = made(chat(gate={"max_ttft_s": 2.5, "min_tokens_per_s": 20.0}))["ready"]
    assert (ready["inference"]["max_ttft_s"], ready["inference"]["min_tokens_per_s"]) == (2.5, 20.0)
    (problem,) = problems([chat(engine="tei", binary="/opt/tei", gate={"max_ttft_s": 2.5})])
    assert "has gate.max_ttft_s, which tei does not have" in problem


def test_the_longest_settling_counts():
    assert made(chat(gate={"settle_s": 2}), code(gate={"settle_s": 9}))["settle_s"] == 9


def test_a_package_is_desired_when_an_instance_has_no_binary():
    assert made(chat(binary="/opt/llama-server"))["packages"] == []
    assert made(chat(binary="/opt/llama-server"), code())["packages"] == PACKAGES


def seen(*listeners, **paths):
    known = {
        MODEL: {"kind": "file", "mode": "0644"},
        "/opt/llama-server": {"kind": "file", "mode": "0755"},
        "/etc/key": {"kind": "file", "mode": "0600", "owner": "root", "group": "root"},
        **paths,
    }
    return FakeReader([{"path": path, **what} for path, what in known.items()], listeners)


def listener(address="127.0.0.1", **more):
    return {"port": 8001, "address": address, "pid": 812, "process": "nginx", "unit": "nginx.service", **more}


FULL = chat(binary="/opt/llama-server", api_key_file="/etc/key")


def test_a_good_host_stands_against_nothing():
    assert host_problems([FULL], seen()) == []


@pytest.mark.parametrize(
    ("path", "what", "problem"),
    [
        (MODEL, {"kind": "absent"}, f"wants the model {MODEL}, which is not on the host"),
        (MODEL, {"kind": "directory"}, f"wants the model {MODEL}, which is a directory"),
        ("/opt/llama-server", {"kind": "absent"}, "wants the program /opt/llama-server, which is not on the host"),
        ("/opt/llama-server", {"kind": "file", "mode": "0644"}, "which is not an executable file"),
        ("/etc/key", {"kind": "absent"}, "wants the API key in /etc/key, which is not on the host"),
        (
            "/etc/key",
            {"kind": "file", "mode": "0644", "owner": "root", "group": "www"},
            "the key is readable by others (mode 0644, owner root:www); set mode 0600 or 0400",
        ),
    ],
)
def test_what_lies_wrong_is_one_sentence(path, what, problem):
    (found,) = host_problems([FULL], seen(**{path: what}))
    assert problem in found
    in_check_mode = refused(made(FULL), seen(**{path: what}), check_mode=True)
    assert in_check_mode == (([], [found]) if what["kind"] == "absent" else ([found], []))


@pytest.mark.parametrize(
    ("host", "address", "taken"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "::", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("0.0.0.0", "10.0.0.5", True),
        ("127.0.0.1", "10.0.0.5", False),
        ("127.0.0.1", "::1", False),
    ],
)
def test_a_port_is_taken_where_addresses_overlap(host, address, taken):
    found = host_problems([chat(host=host, allow_unauthenticated=True)], seen(listener(address)))
    assert bool(found) is taken


def test_who_has_the_port_is_named():
    assert host_problems([chat()], seen(listener(), listener("::"))) == [
        "Model server instance 'chat' wants port 8001 of 127.0.0.1, which nginx (pid 812, nginx.service) has; "
        "stop that, or set another port."
    ]
    (found,) = host_problems([chat()], seen(listener(pid=None, process=None, unit=None)))
    assert "which a process that cannot be seen has" in found


def test_a_port_may_be_our_own_or_that_of_an_instance_that_goes():
    assert host_problems([chat()], seen(listener(unit="mlops-model-chat.service"))) == []
    old = "mlops-model-old.service"
    assert host_problems([chat()], seen(listener(unit=old)), stopped=[old]) == []


def test_a_port_of_an_instance_of_another_scope_is_taken():
    (found,) = host_problems([chat()], seen(listener(process="llama-server", unit="mlops-model-old.service")))
    assert "which llama-server (pid 812, mlops-model-old.service) has" in found


def test_a_scope_is_a_name():
    (problem,) = built(scope="Team A").problems
    assert built(scope="Team A", state="absent") == Built((problem,))
    assert problem.startswith("model_server_scope is 'Team A'; use up to 32 small letters")
    assert made(scope="team_a")["name"] == "model_server.team_a"


def test_a_port_of_an_instance_that_moves_away_is_not_free_yet():
    (found,) = host_problems([chat(), code()], seen(listener(unit="mlops-model-code.service")))
    assert "which instance 'code' still has; move that one first" in found


@pytest.mark.parametrize(
    ("place", "purged"),
    [
        pytest.param("/etc/keys/chat", True, id="kept-elsewhere"),
        pytest.param("/etc/mlops.hosts/model_server/chat/own", False, id="the-user-keeps-the-key-there"),
    ],
)
def test_only_a_folder_that_holds_nothing_of_the_user_is_purged(place, purged):
    folder = made(chat(api_key_file=place))["directories"][-1]
    assert folder["path"] == "/etc/mlops.hosts/model_server/chat"
    assert folder["purge"] is purged


# What is read of the host, and of other roles


def test_absent_needs_no_platform_and_no_list():
    absent = {"state": "absent", "scope": "team", "instances": [], "artifacts": None, "packages": []}
    assert room.facts(absent) == () and room.borrows(absent) == {}
    assert room.build(absent, Platform()) == Built(component={"name": "model_server.team", "state": "absent"})


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        pytest.param({"instances": [chat()]}, True, id="a-package"),
        pytest.param({"instances": [chat(binary="/opt/llama-server")]}, False, id="a-program-that-is-there"),
        pytest.param({"instances": [chat()], "packages": PACKAGES}, False, id="packages-that-are-named"),
        pytest.param({"instances": [{"name": "old", "state": "absent"}]}, False, id="none-is-present"),
        pytest.param({}, False, id="none"),
    ],
)
def test_the_platform_counts_where_it_names_packages(options, needed):
    assert bool(room.facts({**OPTIONS, **options})) is needed
    if not needed:
        assert room.build({**OPTIONS, **options}, Platform()).problems == ()


@pytest.mark.parametrize(
    ("options", "read"),
    [
        pytest.param({"instances": [chat()]}, False, id="a-path"),
        pytest.param({"instances": [chat(model={"artifact": "tiny"})]}, True, id="an-artefact"),
        pytest.param({"artifacts": []}, True, id="a-list-of-its-own-is-checked"),
        pytest.param({"artifacts": [], "state": "absent"}, False, id="absent"),
    ],
)
def test_the_list_of_the_store_is_read_where_an_instance_names_one_of_it(options, read):
    assert room.borrows({**OPTIONS, **options}) == ({"artifacts": "model_store"} if read else {})


@pytest.mark.parametrize(
    ("options", "read"),
    [
        pytest.param({"instances": [chat(runtime="vllm")]}, True, id="an-environment"),
        pytest.param({"environments": []}, True, id="a-list-of-its-own-is-checked"),
        pytest.param({"environments": [], "state": "absent"}, False, id="absent"),
    ],
)
def test_the_list_of_environments_is_read_where_an_instance_names_one_of_it(options, read):
    assert room.borrows({**OPTIONS, **options}) == ({"environments": "model_runtime"} if read else {})


ENVIRONMENT = {"name": "vllm", "python": "python3.12", "requirements": f"vllm==1 --hash=sha256:{'a' * 64}"}


def of_vllm(**more):
    return {"name": "chat", "engine": "vllm", "port": 8001, "model": {"path": "/srv/models/chat"}, **more}


def test_the_program_of_an_environment_is_the_one_that_the_module_builds():
    options = {**OPTIONS, "instances": [of_vllm(runtime="vllm")], "environments": [ENVIRONMENT]}
    component = room.build(options, Platform()).component
    program = f"{python_environment(OPTIONS['runtime_base'], 'vllm', ENVIRONMENT['requirements'], '3.12')}/bin/vllm"
    assert f'"{program}" "serve"' in component["files"][0]["template_vars"]["__model_server_unit"]["command"]
    (found,) = [item for item in component["requires"] if item.get("executable")]
    assert found["path"] == program
    assert found["msg_for"]["absent"].endswith("which is not on the host; build it with the role model_runtime.")
    assert component["packages"] == []


@pytest.mark.parametrize(
    ("more", "environment", "words"),
    [
        pytest.param({"binary": "/opt/x"}, {}, "has both binary and runtime; keep one", id="two-programs"),
        pytest.param({"runtime": "no"}, {}, "there is no environment no; those that are present: vllm", id="unknown"),
        pytest.param({}, {"state": "absent"}, "those that are present: none", id="to-be-absent"),
        pytest.param({}, {"python": "python3"}, "name its version, as in python3.12", id="python-without-version"),
        pytest.param({}, {"requirements": "vllm"}, "vllm is not pinned", id="not-pinned"),
        pytest.param({"engine": "llama_cpp"}, {}, "llama_cpp is no Python program; leave it out", id="no-python"),
    ],
)
def test_a_program_that_cannot_be_had_of_an_environment(more, environment, words):
    environments = [{**ENVIRONMENT, **environment}]
    (problem,) = room.build(
        {**OPTIONS, "instances": [of_vllm(**{"runtime": "vllm", **more})], "environments": environments}, Platform()
    ).problems
    assert words in problem


def test_without_instances_nothing_is_required_of_a_host():
    assert requirements_of(made({"name": "old", "state": "absent"})) == ()
    assert built({"name": "old", "state": "absent"}).verify is None
    model, port = requirements_of(made(chat()))
    assert (model.path, model.type) == (MODEL, "file")
    assert (port.port, port.address, port.units) == (8001, "127.0.0.1", ("mlops-model-chat.service",))


def test_what_few_instances_need_is_loaded_for_them_alone():
    """Every task is a fork of the process that loads this."""
    program = """if True:
        import json, sys, types
        for name, path in (("ansible_collections", []), ("ansible_collections.mlops", []),
                           ("ansible_collections.mlops.hosts", [sys.argv[1]])):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = path
        from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server import build
        from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines import ENGINES
        from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform
        def loaded():
            kinds = ("._model.", "._python_environment.", "difflib", "concurrent.futures")
            return [[name for name in sys.modules if any(kind in name for kind in kinds)],
                    sorted(name for name, engine in ENGINES.items() if len(vars(engine.flags)) > 1)]
        first = loaded()
        options = json.loads(sys.argv[2])
        assert not build.build(options, Platform()).problems
        second = loaded()
        options["instances"][0]["model"] = {"artifact": "chat"}
        assert not build.build(options, Platform()).problems
        print(json.dumps([first, second, [name.rpartition(".")[2] for name in loaded()[0]]]))
    """
    instance = chat(engine="ollama", binary="/usr/bin/ollama", environment={"OLLAMA_DEBUG": "1"})
    artifact = {"name": "chat", "source": "https://h/chat.gguf", "sha256": "0" * 64}
    options = {**OPTIONS, "instances": [instance], "artifacts": [artifact]}
    argv = [sys.executable, "-c", program, str(pathlib.Path(room.__file__).parents[4]), json.dumps(options)]
    first, second, third = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    assert first == [[], []]
    assert second == [[], ["ollama"]]
    assert "paths" in third and "store" not in third
