# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GPUs the instances of a host have, and what is refused of them."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Decision, Question
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines import ENGINES

from .model_server import FORKY as PLATFORM
from .model_server import GPU, OPTIONS, chat, code, file, made, problems

A, B, C = (f"GPU-{letter}" for letter in "abc")


def gpu(uuid, memory_mib=81559, **more):
    """What gpu_info says of one, as far as it counts here."""
    return {"uuid": uuid, "memory_total_mib": memory_mib, "mig_mode": "disabled", "mig_devices": [], **more}


def split_into(*devices):
    return {
        "mig_mode": "enabled",
        "mig_devices": [dict(zip(("uuid", "profile", "memory_mib"), one)) for one in devices],
    }


def host(*gpus, driver="595.71.05"):
    return {"gpus": list(gpus), "driver": {"version": driver}}


THREE = host(gpu(A), gpu(B), gpu(C))
SPLIT = host(
    gpu(A, **split_into(("MIG-1", "3g.71gb", 71424), ("MIG-2", "3g.71gb", 71424), ("MIG-3", "1g.18gb", 18176))), gpu(B)
)


def options(*instances):
    return {**OPTIONS, "instances": list(instances)}


def had(found, *instances):
    """The GPUs of each instance, by name."""
    built = room.build(options(*instances), PLATFORM, found)
    assert built.problems == () and built.pending == ()
    environment = {name: file(built.component, f"/{name}/env") for name in (one["name"] for one in instances)}
    lines = {name: item["template_vars"]["__model_server_env"] for name, item in environment.items()}
    gpus = {name: [line for line in all_of if line.startswith("CUDA_VISIBLE")] for name, all_of in lines.items()}
    return {name: line[0].partition("=")[2].strip('"').split(",") if line else [] for name, line in gpus.items()}


@pytest.mark.parametrize("gpus", [None, {"uuids": [GPU]}])
def test_a_host_is_not_asked_for_gpus_that_are_named(gpus):
    assert room.asks(options(chat(gpus=gpus))) == ()


@pytest.mark.parametrize("gpus", [{"count": 1}, {"mig_profile": "1g.18gb"}])
def test_a_host_is_asked_for_gpus_that_are_counted(gpus):
    assert [asked.module for asked in room.asks(options(chat(gpus=gpus)))] == ["mlops.hosts.gpu_info"]
    assert room.asks({**options(chat(gpus=gpus)), "state": "absent"}) == ()
    assert room.asks(options(chat(gpus=gpus, state="absent"))) == ()


@pytest.mark.parametrize(
    ("found", "one", "other", "gpus"),
    [
        pytest.param(THREE, {"count": 2}, {"count": 1}, ([A, B], [C]), id="each-the-first-that-are-left"),
        pytest.param(THREE, {"count": 1}, {"uuids": [A]}, ([B], [A]), id="not-those-that-are-named-later"),
        pytest.param(THREE, None, {"count": 1}, ([], [A]), id="beside-one-without"),
        pytest.param(SPLIT, {"count": 1}, None, ([B], []), id="not-one-in-mig-mode"),
        pytest.param(SPLIT, {"mig_profile": "3g.71gb"}, {"mig_profile": "3g.71gb"}, (["MIG-1"], ["MIG-2"]), id="mig"),
        pytest.param(SPLIT, {"mig_profile": "3g.71gb", "count": 2}, None, (["MIG-1", "MIG-2"], []), id="two-of-mig"),
        pytest.param(
            host(gpu(A, 16384), gpu(B)), {"count": 1, "memory_mib": 40000}, {"count": 1}, ([B], [A]), id="large-enough"
        ),
    ],
)
def test_an_instance_has_the_first_gpus_that_nobody_has(found, one, other, gpus):
    assert had(found, chat(gpus=one), code(gpus=other)) == dict(zip(("chat", "code"), gpus))


@pytest.mark.parametrize(
    ("found", "gpus", "words"),
    [
        pytest.param(host(gpu(A)), {"count": 2}, f"needs 2 GPUs, and the host has GPU {A} (81559 MiB);", id="too-few"),
        pytest.param(host(), {"count": 1}, "needs 1 GPU, and the host has no GPU;", id="none"),
        pytest.param(
            host(gpu(A)), {"count": 1, "memory_mib": 90000}, "needs 1 GPU of at least 90000 MiB, and", id="too-small"
        ),
        pytest.param(
            SPLIT, {"mig_profile": "7g.141gb"}, "needs 1 MIG device 7g.141gb, and the host has 3g.71gb MIG-1", id="mig"
        ),
    ],
)
def test_a_host_that_has_too_few_is_refused(found, gpus, words):
    (problem,) = room.build(options(chat(gpus=gpus)), PLATFORM, found).problems
    assert problem.startswith(f"Model server instance 'chat' {words}")


def test_what_another_instance_has_is_said():
    (problem,) = room.build(
        options(chat(gpus={"uuids": [A]}), code(gpus={"count": 1})), PLATFORM, host(gpu(A))
    ).problems
    assert f"GPU {A} (81559 MiB, which another instance has)" in problem


@pytest.mark.parametrize("found", [host(driver=None), host(gpu(None, None, mig_mode=None), driver=None)])
def test_without_a_driver_all_waits(found):
    built = room.build(options(chat(gpus={"count": 1}), code()), PLATFORM, found)
    assert built.problems == () and built.component is None
    (pending,) = built.pending
    assert pending["what"] == "mlops-model-chat.service" and pending["ends_with"] == "driver"
    assert pending["why"].startswith("Model server instance 'chat' needs 1 GPU, and no driver answers")


def decided(found, *instances, changed=("chat",)):
    built = room.build(options(*instances), PLATFORM)
    items = [f"/etc/systemd/system/mlops-model-{name}.service" for name in changed]
    return built.decide(found, {"drift": [{"item": item} for item in items]}, False)


def test_gpus_of_the_host_are_taken():
    assert decided(THREE, chat(gpus={"uuids": [A], "memory_mib": 80000})) == Decision()


@pytest.mark.parametrize(
    ("gpus", "words"),
    [
        ({"uuids": ["GPU-x"]}, f"needs GPU GPU-x, and the host has {A}, {B}, {C}; set gpus.uuids to those."),
        (
            {"uuids": [A], "memory_mib": 90000},
            f"needs 90000 MiB on each GPU, and {A} has 81559 MiB; set another one in gpus.uuids.",
        ),
    ],
)
def test_gpus_that_the_host_does_not_have_so_are_refused_before_a_change(gpus, words):
    assert decided(THREE, chat(gpus=gpus)).conflicts == (f"Model server instance 'chat' {words}",)


def test_an_instance_that_does_not_change_is_not_in_the_way():
    assert decided(THREE, chat(gpus={"uuids": ["GPU-x"]}), code(gpus={"uuids": [A]}), changed=("code",)) == Decision()


def test_a_whole_gpu_in_mig_mode_is_refused():
    (problem,) = decided(SPLIT, chat(gpus={"uuids": [A]})).conflicts
    assert f"needs GPU {A}, and the host has {B}, MIG-1, MIG-2, MIG-3" in problem


def test_a_change_waits_for_a_driver():
    decision = decided(host(driver=None), chat(gpus={"uuids": [A]}))
    assert decision.conflicts == () and [one["ends_with"] for one in decision.pending] == ["driver"]


def test_two_that_share_a_gpu_have_it():
    shared = {"uuids": [GPU], "shared": True}
    assert problems([chat(gpus=shared), code(gpus=shared)]) == []
    assert made(chat(gpus=shared), code(gpus=shared))


def test_without_gpus_nobody_is_asked_before_a_change():
    assert room.build(options(chat()), PLATFORM).question is None


# The weights, of which a host with 79.6 GiB on each GPU is asked when something changes


LARGE = "/srv/models/large"


def large(**more):
    return chat(**{"engine": "vllm", "binary": "/opt/vllm", "model": {"path": LARGE}, "gpus": {"uuids": [A]}, **more})


def weighed(gib, *instances, changed=("chat",)):
    built = room.build(options(*instances), PLATFORM)
    assert built.problems == ()
    asked = Question("mlops.hosts.preflight_info", {"models": [LARGE]})
    items = [f"/etc/systemd/system/mlops-model-{name}.service" for name in changed]
    size = None if gib is None else int(gib * 1024**3)
    answer = {"models": [{"path": LARGE, "size_bytes": size, "narrow_bytes": size}]}
    context = [answer] if asked in built.context else []
    return built.decide(THREE, {"drift": [{"item": item} for item in items], "context": context}, False).conflicts


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tei"])
def test_weights_that_its_gpus_cannot_hold_are_refused_with_the_numbers(engine):
    assert weighed(79.6, large(engine=engine)) == ()
    assert weighed(79.7, large(engine=engine)) == (
        "Model server instance 'chat' has a model whose weights take 79.7 GiB (/srv/models/large), and its GPU has "
        "79.6 GiB of memory; give it more or larger GPUs, or a smaller model.",
    )


def test_the_memory_of_all_its_gpus_counts_and_the_share_of_it_that_it_may_have():
    two = {"uuids": [A, B]}
    assert weighed(159, large(gpus=two)) == ()
    assert weighed(79, large(gpus=two, memory_share=0.5)) == ()
    (words,) = weighed(80, large(gpus=two, memory_share=0.5))
    assert "its 2 GPUs have 159.3 GiB of memory, of which memory_share leaves 79.6 GiB; give" in words
    (words,) = weighed(160, large(gpus=two))
    assert "take 160.0 GiB" in words


@pytest.mark.parametrize(
    "instance",
    [
        pytest.param(large(gpus=None), id="on-the-cpu"),
        pytest.param(large(extra_args=["--cpu-offload-gb", "40"]), id="part-on-the-cpu"),
        pytest.param(large(extra_args=["--quantization=fp8"]), id="made-smaller-when-loaded"),
        pytest.param(large(extra_args=["-q", "fp8"]), id="so-in-short"),
        pytest.param(large(engine="sglang", extra_args=["--quantization", "fp8"]), id="sglang-makes-it-smaller"),
        pytest.param(large(engine="triton"), id="a-repository-of-models"),
        pytest.param(chat(gpus={"uuids": [A]}, model={"path": f"{LARGE}/m.gguf"}), id="as-much-as-fits"),
    ],
)
def test_where_weights_need_not_be_on_the_gpu_as_they_are_nobody_asks(instance):
    assert room.build(options(instance), PLATFORM).context == ()
    assert weighed(500, instance) == ()


def test_what_is_not_known_or_does_not_change_is_not_refused():
    assert weighed(None, large()) == ()
    assert weighed(500, large(), code(gpus={"uuids": [B]}), changed=("code",)) == ()
    unknown = room.build(options(large()), PLATFORM)
    compared = {"drift": [{"item": "/etc/systemd/system/mlops-model-chat.service"}], "context": []}
    assert unknown.decide(host(gpu(A, None)), compared, False) == Decision()


def test_the_flags_that_make_weights_lighter_are_flags_of_their_engines():
    for engine in ENGINES.values():
        assert set(engine.lightens) <= engine.flags.names, engine.name
