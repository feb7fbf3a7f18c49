# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One model over several hosts, on their Ray. No real server was run so: vLLM's build for CPUs refuses Ray."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._ray import paths
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_gateway.fleet import backends
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines import ENGINES
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.ray_cluster import build as ray_room

from .model_server import KEY, OPTIONS, WEIGHTS, built, chat, file, lines_of_environment, made, unit_of

SET = {"name": "big", "python": "python3.12", "requirements": f"ray==2.60.0 --hash=sha256:{'0' * 64}\n"}


def big(**more):
    model = {"path": WEIGHTS}
    return chat(**{"engine": "vllm", "runtime": "big", "model": model, "hosts": ["a", "b"], "api_key": KEY, **more})


def member(address, **more):
    return {"address": address, "head": "a", "port": 6379, "gpus": 4, "runtime": "big", **more}


def on(here="a", **changed):
    hosts = {"a": member("10.0.0.1"), "b": member("10.0.0.2"), **changed}
    return {"environments": [SET], "fleet": {"here": here, "hosts": hosts}}


def test_the_first_host_has_the_server_of_all():
    component = made(big(), **on())
    unit = unit_of(component)
    for words in (
        '"--distributed-executor-backend" "ray"',
        '"--pipeline-parallel-size" "2"',
        '"--tensor-parallel-size" "4"',
    ):
        assert words in unit["ExecStart"][0]
    assert (unit["User"], unit["Requires"], unit["PartOf"]) == ([paths.USER], [paths.UNIT], [paths.UNIT])
    assert unit["IPAddressAllow"] == ["localhost 10.0.0.1 10.0.0.2"]
    assert unit["ReadWritePaths"] == [paths.STATE]
    assert "char-nvidia* rw" in unit["DeviceAllow"]
    # It shares memory with what runs on Ray.
    assert "TemporaryFileSystem" not in unit
    known = lines_of_environment(component)
    assert {'RAY_ADDRESS="10.0.0.1:6379"', 'RAY_AUTH_MODE="token"', 'VLLM_HOST_IP="10.0.0.1"'} <= set(known)
    assert not [line for line in known if "SOCKET_IFNAME" in line]


def test_vllm_has_the_flags():
    known = ENGINES["vllm"].flags.names
    assert {"--distributed-executor-backend", "--pipeline-parallel-size", "--tensor-parallel-size"} <= known


def test_the_other_hosts_have_what_the_server_needs_and_no_server():
    component = made(big(api_key_file="/etc/key", api_key=None), **on("b"))
    assert (component["units"], component["files"], component["ready"]) == ([], [], [])
    required = [item["path"] for item in component["requires"]]
    assert required[0] == WEIGHTS
    assert required[1].endswith("/bin/vllm")
    assert len(required) == 2
    assert built(big(), **on("b")).verify is None


def test_what_else_is_desired_of_another_host_stays():
    small = chat(name="small", port=8009, binary="/opt/llama-server")
    component = made(big(), small, **on("b"))
    assert [unit["name"] for unit in component["units"]] == ["mlops-model-small.service"]
    assert {item.get("path") for item in component["requires"]} >= {WEIGHTS, "/opt/llama-server"}


def test_the_key_goes_to_no_other_host():
    """vLLM hands on all of its environment, except what a file says."""
    assert f'VLLM_CONFIG_ROOT="{paths.VLLM}"' in lines_of_environment(made(big(), **on()))
    assert paths.VLLM_KEPT.startswith(f"{paths.VLLM}/")
    assert "VLLM_API_KEY" in ray_room._KEPT


def test_which_hosts_are_read():
    options = {**OPTIONS, "instances": [big(), chat(), big(name="old", hosts=["x", "y"], state="absent")]}
    assert room.fleet(options) == (["a", "b"], "ray_cluster_address")
    assert room.fleet({**options, "state": "absent"}) == ([], "ray_cluster_address")


def test_a_gateway_asks_the_host_with_the_server():
    item = big(host="0.0.0.0")
    known = {
        name: {"address": at, "instances": [item], "artifacts": []} for name, at in (("a", "1.1.1.1"), ("b", "2.2.2.2"))
    }
    ((backend,), problems) = backends([], {"here": "gate", "hosts": known})
    assert (problems, [server.address for server in backend.servers]) == ([], ["1.1.1.1"])


@pytest.mark.parametrize(
    ("more", "cluster", "says"),
    [
        ({"hosts": ["a"]}, on(), "has hosts a; name two or more, each once."),
        ({"hosts": ["a", "a"]}, on(), "has hosts a, a; name two or more, each once."),
        ({}, on("c"), "has hosts a, b, and is desired of c; give it to those hosts only."),
        (
            {},
            on(b=member("10.0.0.2", head=None)),
            "has hosts of which b have no ray_cluster_head; make them a cluster ",
        ),
        (
            {},
            on(b=member("10.0.0.2", head="b")),
            "has hosts a, b, which are not all of one Ray cluster; name all hosts ",
        ),
        ({}, on(b=member("10.0.0.2", gpus=2)), "one or more, on all of its hosts, and found 4 on a, 2 on b; set them."),
        ({}, on(a=member("10.0.0.1", gpus=0), b=member("10.0.0.2", gpus=0)), "and found 0 on a, 0 on b; set them."),
        ({}, on(a=member("10.0.0.1", runtime="ray")), "has runtime big, and its Ray cluster ray; give both the same "),
        (
            {"gpus": {"uuids": ["GPU-1"]}},
            on(),
            "has gpus and hosts, whose GPUs Ray hands out; leave gpus out, and set ",
        ),
        ({"extra_args": ["-tp", "8"]}, on(), "has -tp with hosts, which set it; leave it out."),
        ({"environment": {"VLLM_HOST_IP": "x"}}, on(), "has VLLM_HOST_IP with hosts, which set it; leave it out."),
        ({"engine": "sglang"}, on(), "has hosts, which sglang does not have; leave it out."),
    ],
)
def test_what_cannot_be_is_one_sentence(more, cluster, says):
    (problem,) = [problem for problem in built(big(**more), **cluster).problems if "GPU-1" not in problem]
    assert problem.startswith("Model server instance 'chat' ")
    assert says in problem


def test_without_hosts_nothing_is_different():
    words = unit_of(made(chat(engine="vllm", binary="/opt/vllm", model={"path": WEIGHTS})))["ExecStart"][0]
    assert "ray" not in words
    assert file(made(chat()), "/env")
