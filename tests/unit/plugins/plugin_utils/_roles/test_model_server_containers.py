# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances that run in containers. What Podman's generator makes of a quadlet was recorded."""

from __future__ import annotations

import getpass
import json
import os
import pathlib
import shlex
import subprocess

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles import container_engine
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines import ENGINES
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines.base import Lifecycle
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines.llama_cpp import LlamaCpp
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.instance import LIMITS
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform
from ansible_collections.mlops.hosts.tests.unit.fakes import DATA, FakeReader, refused

from .model_server import GPU, KEY, OPTIONS, ROLE, file, rendered, run_by_systemd, unit_of

IMAGE = f"r.example.org/server@sha256:{'a' * 64}"
ENGINES_OF_CONTAINERS = ("docker", "podman")


def chat(**more):
    item = {"name": "chat", "deployment": "container", "image": IMAGE, "model": {"path": "/srv/models/v1.gguf"}}
    return {**item, "port": 8001, **more}


def vllm(**more):
    return chat(**{"engine": "vllm", "model": {"path": "/srv/models/chat-v1"}, **more})


def told(version=None, cdi_enabled=None):
    return {"version": version, "cdi_enabled": cdi_enabled}


def built(*instances, engine="podman", **more):
    answers = {"docker": told("26.1.5", False), "podman": told("5.4.2")}
    options = {**OPTIONS, "container_engine": engine, "instances": list(instances), **more}
    return room.build(options, Platform(), *(answers[item.args["provider"]] for item in room.asks(options)))


def made(*instances, **more):
    found = built(*instances, **more)
    assert found.problems == ()
    return found.component


def words(text):
    """As systemd reads them, without its variables."""
    return [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(text)]


def run_words(component):
    """What the engine is told to run a container with."""
    found = unit_of(component)
    if "Exec" not in found:
        return words(found["ExecStart"][0])[2:]
    given = [word for arguments in found["PodmanArgs"] for word in words(arguments)]
    return [*given, f"--name={found['ContainerName'][0]}", found["Image"][0], *words(found["Exec"][0])]


@pytest.fixture(params=ENGINES_OF_CONTAINERS)
def engine(request):
    return request.param


# Which engine


@pytest.mark.parametrize(
    ("desired", "podman", "docker", "chosen"),
    [
        pytest.param("auto", "5.4.2", None, "podman", id="podman"),
        pytest.param("auto", "5.4.2", "26.1.5", "podman", id="both"),
        pytest.param("auto", None, "26.1.5", "docker", id="docker"),
        pytest.param("auto", "4.3.1", "20.10.24", "docker", id="a-podman-without-quadlets"),
        pytest.param("docker", "5.4.2", "26.1.5", "docker", id="docker-is-desired"),
        pytest.param("docker", "5.4.2", None, "docker", id="docker-does-not-run-yet"),
        pytest.param("podman", None, "26.1.5", "podman", id="podman-is-not-there-yet"),
        pytest.param("podman", "4.4.0", None, "podman", id="the-oldest-with-quadlets"),
        pytest.param("auto", "10.0.1", None, "podman", id="versions-are-numbers"),
    ],
)
def test_the_host_decides_unless_the_user_does(desired, podman, docker, chosen):
    versions = {"podman": podman, "docker": docker}
    answers = [told(versions[item.args["provider"]]) for item in container_engine.questions(desired)]
    assert container_engine.choose(desired, answers).name == chosen


@pytest.mark.parametrize("desired", ["auto", "podman"])
def test_a_podman_without_quadlets_is_refused(desired):
    answers = [told("4.3.1"), told()][: len(container_engine.questions(desired))]
    with pytest.raises(HostError, match=r"Podman 4\.3\.1 has no quadlets, which came with 4\.4; install a later one"):
        container_engine.choose(desired, answers)


def test_a_host_without_an_engine_is_refused_and_may_have_one_by_the_time_of_a_real_run():
    options = {**OPTIONS, "instances": [chat()]}
    component = room.build(options, Platform(), told(), told()).component
    there = {"kind": "file", "mode": "0644", "owner": "root", "group": "root"}
    reader = FakeReader([{**there, "path": "/srv/models/v1.gguf"}])
    sentence = (
        "Model server instance 'chat' runs in a container, and the host has neither Podman nor a Docker that runs; "
        "install one with the role container_runtime."
    )
    assert refused(component, reader) == ([sentence], [])
    assert refused(component, reader, check_mode=True) == ([], [sentence])


def test_a_host_is_asked_only_where_it_is_to_run_containers():
    native = {"name": "code", "model": {"path": "/srv/models/v1.gguf"}, "port": 8002}
    assert room.asks({**OPTIONS, "instances": [native, chat(state="absent")]}) == ()
    assert room.asks({**OPTIONS, "state": "absent", "instances": [chat()]}) == ()
    assert [item.args["provider"] for item in room.asks({**OPTIONS, "instances": [chat()]})] == ["podman", "docker"]


# What comes of an instance


def test_an_image_and_no_package(engine):
    component = made(chat(), chat(name="code", port=8002), engine=engine)
    assert component["images"] == [{"name": IMAGE, "engine": engine}]
    assert component["packages"] == []
    assert room.facts({**OPTIONS, "instances": [chat()]}) == ()


def test_the_generator_enables_a_quadlet():
    podman, docker = (made(chat(), engine=engine) for engine in ("podman", "docker"))
    assert podman["units"] == [{"name": "mlops-model-chat.service", "enabled": False}]
    assert docker["units"] == [{"name": "mlops-model-chat.service"}]
    quadlet = file(podman, "mlops-model-chat.container")
    assert quadlet["path"] == "/etc/containers/systemd/mlops-model-chat.container"
    assert quadlet["validate_as"] == "mlops-model-chat.container"
    assert unit_of(podman)["WantedBy"] == ["multi-user.target"]
    folders = [item["path"] for item in podman["directories"]]
    assert folders.index("/etc/containers") < folders.index("/etc/containers/systemd")
    assert not {"/etc/containers"} & {item["path"] for item in docker["directories"]}


def test_a_server_goes_down_and_up_with_docker():
    component = made(chat(), engine="docker")
    unit = unit_of(component)
    assert (unit["Requires"], unit["After"]) == (["docker.service"], ["network-online.target docker.service"])
    assert unit["WantedBy"] == ["multi-user.target docker.service"]


def test_a_container_is_confined(engine):
    told_to = run_words(made(chat(api_key=KEY), engine=engine))
    assert {
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--pull=never",
        "--network=host",
        "$CONTAINER_USER",
        "--tmpfs=/tmp:rw,nosuid,nodev,noexec,mode=1777",
        "--mount=type=bind,source=/srv/models,target=/srv/models,readonly",
        "--mount=type=bind,source=/run/mlops-model-chat/api_key,target=/run/credentials/api_key,readonly",
    } <= {*told_to}
    assert [word for word in told_to if word.startswith("--mount") and "readonly" not in word] == []
    assert not [word for word in told_to if word.startswith(("--privileged", "--publish", "--device", "--init"))]


def test_the_program_is_that_of_the_image(engine):
    def run(item):
        told_to = run_words(made(item, engine=engine))
        return [told_to[told_to.index("--entrypoint") + 1], *told_to[told_to.index(IMAGE) + 1 :]]

    assert run(chat()) == ["/app/llama-server"]
    assert run(chat(binary="/usr/bin/llama-server", api_key=KEY, extra_args=["--metrics"])) == [
        "/usr/bin/llama-server",
        "--api-key-file",
        "/run/credentials/api_key",
        "--metrics",
    ]
    shell, flag, script, name, program, *rest = run(vllm(api_key=KEY, extra_args=["--seed", "1"]))
    assert (shell, flag, name, program, rest[0], rest[-2:]) == ("/bin/sh", "-c", "sh", "vllm", "serve", ["--seed", "1"])
    assert "$CREDENTIALS_DIRECTORY/api_key" in script


def test_what_a_line_of_the_environment_holds_is_its_value(engine):
    component = made(chat(api_key=KEY, environment={"LLAMA_ARG_CHAT_TEMPLATE": 'a "b" $c'}), engine=engine)
    lines = file(component, "chat/env")["template_vars"]["__model_server_env"]
    assert lines[:2] == ["HOME=/tmp", "CREDENTIALS_DIRECTORY=/run/credentials"]
    assert 'LLAMA_ARG_CHAT_TEMPLATE=a "b" $c' in lines
    assert {"LLAMA_ARG_HOST=127.0.0.1", "LLAMA_ARG_PORT=8001", "LLAMA_ARG_MODEL=/srv/models/v1.gguf"} <= {*lines}
    assert f"--env-file={file(component, 'chat/env')['path']}" in run_words(component)


def test_the_key_is_in_its_file_and_nowhere_else(engine):
    found = built(chat(api_key=KEY), engine=engine)
    secrets = [item for item in found.component["files"] if item.get("secret")]
    assert [item["path"] for item in secrets] == ["/etc/mlops.hosts/model_server/chat/api_key"]
    rest = [item for item in found.component["files"] if not item.get("secret")]
    assert KEY not in json.dumps([rest, found.verify, found.component["ready"]]) + rendered(found.component)


def test_what_is_prepared_for_a_container(engine, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    found = unit_of(made(chat(api_key_file=str(tmp_path / "key")), engine=engine, user=getpass.getuser()))
    for command in found["ExecStartPre"][:3]:
        argv = [word.replace("/run/mlops-model-chat", str(tmp_path)) for word in words(command)]
        subprocess.run(argv, check=True, env={"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": str(tmp_path)})
    ids = (tmp_path / "user").read_text()
    assert ids.startswith(f"CONTAINER_USER=--user={os.getuid()}:{os.getgid()} --group-add={os.getgid()}")
    assert (tmp_path / "api_key").read_text() == f"{KEY}\n"
    assert (tmp_path / "api_key").stat().st_mode & 0o777 == 0o400
    assert found["Environment"] == ["CREDENTIALS_DIRECTORY=%t/mlops-model-chat"]
    assert found["EnvironmentFile"] == ["-%t/mlops-model-chat/user"]


def test_a_user_that_is_not_there_is_no_root(engine, tmp_path):
    command = unit_of(made(chat(), engine=engine, user="nobody-of-that-name"))["ExecStartPre"][0]
    argv = [word.replace("/run/mlops-model-chat", str(tmp_path)) for word in words(command)]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 1
    assert list(tmp_path.iterdir()) == []


def with_lifecycle(monkeypatch, engine, **more):
    class Other(LlamaCpp):
        name, lifecycle = "other", Lifecycle(**more)

    monkeypatch.setitem(ENGINES, "other", Other())
    return made(chat(engine="other"), engine=engine)


@pytest.mark.parametrize(
    ("lifecycle", "setting", "values"),
    [
        pytest.param({}, "Restart", ["on-failure"], id="fails"),
        pytest.param({"restart": "always"}, "Restart", ["always"], id="exits-with-0-when-it-has-died"),
        pytest.param({"start_limit_s": 3600}, "StartLimitIntervalSec", ["3600"], id="starts-slowly"),
        pytest.param({"stop_s": 15}, "TimeoutStopSec", ["25"], id="stops-fast"),
        pytest.param({}, "SuccessExitStatus", ["143"], id="a-stop-is-no-failure"),
        pytest.param({"clean_exits": ("3",), "stop_signal": "SIGINT"}, "SuccessExitStatus", ["3 130"], id="others"),
    ],
)
def test_a_unit_is_what_its_program_needs(monkeypatch, engine, lifecycle, setting, values):
    assert unit_of(with_lifecycle(monkeypatch, engine, **lifecycle)).get(setting) == values


@pytest.mark.parametrize(
    ("lifecycle", "word"),
    [
        pytest.param({"stop_s": 15}, "--stop-timeout=15", id="stops-fast"),
        pytest.param({"stop_signal": "SIGINT"}, "--stop-signal=SIGINT", id="stops-by-another-signal"),
        pytest.param({"compiles": True}, "--tmpfs=/tmp:rw,nosuid,nodev,exec,mode=1777", id="runs-what-it-writes"),
        pytest.param({"workers": True}, "--tmpfs=/dev/shm:rw,nosuid,nodev,noexec,mode=1777", id="shares-memory"),
        pytest.param(
            {"keeps_cache": True},
            "--mount=type=bind,source=/var/cache/mlops-model-chat/home,target=/var/cache/mlops-model-chat/home",
            id="keeps-its-cache",
        ),
    ],
)
def test_a_container_is_what_its_program_needs(monkeypatch, engine, lifecycle, word):
    assert word in run_words(with_lifecycle(monkeypatch, engine, **lifecycle))
    assert word not in run_words(made(chat(), engine=engine)) or lifecycle == {"stop_s": 15}


def test_a_cache_is_the_users(monkeypatch, engine):
    component = with_lifecycle(monkeypatch, engine, keeps_cache=True)
    unit = unit_of(component)
    assert words(unit["ExecStartPre"][1]) == [
        *("/usr/bin/install", "-d", "-m", "0700", "-o", "models", "-g", "models", "--"),
        "/var/cache/mlops-model-chat/home",
    ]
    assert (unit["CacheDirectory"], unit["CacheDirectoryMode"]) == (["mlops-model-chat"], ["0700"])
    assert "HOME=/var/cache/mlops-model-chat/home" in file(component, "chat/env")["template_vars"]["__model_server_env"]


def test_on_loopback_a_container_of_podman_reaches_no_network():
    unit = unit_of(made(chat()))
    assert (unit["IPAddressDeny"], unit["IPAddressAllow"]) == (["any"], ["localhost"])
    assert (unit["SocketBindDeny"], unit["SocketBindAllow"]) == (["any"], ["tcp:8001"])
    unit = unit_of(made(vllm(host="0.0.0.0", api_key=KEY)))
    assert not {"IPAddressDeny", "SocketBindDeny"} & unit.keys()


# Limits and GPUs


def test_defaults_of_limits_are_those_of_the_argument_specs():
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    limits = specs["model_server_instances"]["options"]["limits"]["options"]
    assert {name: option["default"] for name, option in limits.items() if "default" in option} == LIMITS


FULL = {"memory_gib": 64, "cpus": "0-7,16", "processes": 100, "open_files": 2048}


def test_docker_limits_a_container():
    told_to = run_words(made(chat(limits=FULL), engine="docker"))
    assert {"--memory=64g", "--cpuset-cpus=0-7,16", "--pids-limit=100", "--ulimit=nofile=2048:2048"} <= {*told_to}
    told_to = run_words(made(chat(), engine="docker"))
    assert {"--pids-limit=4096", "--ulimit=nofile=1048576:1048576"} <= {*told_to}
    assert not [word for word in told_to if word.startswith(("--memory", "--cpuset"))]


def test_the_unit_limits_a_container_of_podman():
    unit = unit_of(made(chat(limits=FULL)))
    assert (unit["MemoryMax"], unit["AllowedCPUs"], unit["TasksMax"]) == (["64G"], ["0-7,16"], ["100"])
    unit = unit_of(made(chat()))
    assert unit["TasksMax"] == ["4096"]
    assert not {"MemoryMax", "AllowedCPUs"} & unit.keys()


def test_the_same_limits_hold_natively():
    item = {"name": "chat", "model": {"path": "/srv/models/v1.gguf"}, "port": 8001, "binary": "/opt/serve"}
    unit = unit_of(made({**item, "limits": FULL}))
    assert (unit["MemoryMax"], unit["AllowedCPUs"], unit["TasksMax"]) == (["64G"], ["0-7,16"], ["100"])
    assert unit["LimitNOFILE"] == ["2048"]
    unit = unit_of(made(item))
    assert unit["LimitNOFILE"] == ["1048576"]
    assert not {"MemoryMax", "AllowedCPUs", "TasksMax"} & unit.keys()


def test_gpus_come_by_their_names_in_cdi(engine):
    component = made(chat(gpus={"uuids": [GPU, f"{GPU}2"]}), engine=engine)
    told_to = run_words(component)
    assert [word for word in told_to if word.startswith("--device")] == [
        f"--device=nvidia.com/gpu={GPU}",
        f"--device=nvidia.com/gpu={GPU}2",
    ]
    assert "--ulimit=memlock=-1:-1" in told_to
    assert "nvidia-cdi-refresh.service" in unit_of(component)["After"][-1]


MEMORY = {"mig_mode": "disabled", "mig_devices": [], "memory_total_mib": 81920}
HAS_GPU = {"gpus": [{"uuid": GPU, **MEMORY}], "driver": {"version": "580.95.05"}}
QUADLET = "/etc/containers/systemd/mlops-model-chat.container"
UNIT = "/etc/systemd/system/mlops-model-chat.service"
SPEC = {"path": "/var/run/cdi/nvidia.yaml", "kind": "nvidia.com/gpu", "devices": ["0", GPU, "all"], "drivers": []}


@pytest.mark.parametrize(
    ("engine", "cdi_enabled", "specs", "drift", "dry_run", "sentences"),
    [
        pytest.param("podman", None, [SPEC], QUADLET, False, [], id="offered"),
        pytest.param("docker", True, [SPEC], UNIT, False, [], id="offered-to-docker"),
        pytest.param("podman", None, [], QUADLET, False, [f"needs {GPU}, which no file"], id="not-offered"),
        pytest.param("podman", None, [{**SPEC, "kind": "amd.com/gpu"}], QUADLET, False, ["no file"], id="of-others"),
        pytest.param("docker", False, [SPEC], UNIT, False, ["Docker does not give devices by CDI"], id="without-cdi"),
        pytest.param("docker", False, [], UNIT, True, [], id="may-come-in-this-run"),
        pytest.param("podman", None, [], "mlops-model-code.service", False, [], id="another-one-changes"),
    ],
)
def test_a_gpu_must_be_offered_before_anything_changes(engine, cdi_enabled, specs, drift, dry_run, sentences):
    options = {**OPTIONS, "container_engine": engine, "instances": [chat(gpus={"uuids": [GPU]})]}
    found = room.build(options, Platform(), told("26.1.5", cdi_enabled))
    assert (found.question.module, [asked.module for asked in found.context]) == (
        "mlops.hosts.gpu_info",
        ["mlops.hosts.cdi_info"],
    )
    compared = {"drift": [{"item": drift}], "context": [{"specs": specs}]}
    decision = found.decide(HAS_GPU, compared, dry_run)
    assert len(decision.conflicts) == len(sentences)
    assert all(sentence in text for sentence, text in zip(sentences, decision.conflicts))
    assert decision.pending == ()


def test_without_a_driver_a_change_waits_and_cdi_is_not_missed():
    found = built(chat(gpus={"uuids": [GPU]}))
    compared = {"drift": [{"item": QUADLET}], "context": [{"specs": []}]}
    decision = found.decide({**HAS_GPU, "gpus": []}, compared, False)
    assert decision.conflicts == ()
    assert [item["ends_with"] for item in decision.pending] == ["driver"]


def test_a_counted_gpu_is_that_of_the_container():
    options = {**OPTIONS, "container_engine": "podman", "instances": [chat(gpus={"count": 1})]}
    assert [asked.module for asked in room.asks(options)] == [
        "mlops.hosts.gpu_info",
        "mlops.hosts.container_runtime_info",
    ]
    component = room.build(options, Platform(), HAS_GPU, told("5.4.2")).component
    assert f"--device=nvidia.com/gpu={GPU}" in run_words(component)


def test_cdi_counts_for_containers_with_gpus():
    native = {"name": "code", "model": {"path": "/srv/m.gguf"}, "binary": "/opt/serve", "port": 8002}
    assert built(chat(), {**native, "gpus": {"uuids": [GPU]}}).context == ()


# What is refused


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        pytest.param({"image": None}, "runs in a container and has no image; set image to one by digest", id="none"),
        pytest.param({"image": "r.example.org/server:1"}, "which can be another one tomorrow", id="tag"),
        pytest.param({"image": f"a b@sha256:{'a' * 64}"}, "which can be another one tomorrow", id="no-name"),
        pytest.param({"image": f"$a@sha256:{'a' * 64}"}, "which can be another one tomorrow", id="variable"),
        pytest.param({"deployment": "native", "binary": "/opt/x"}, "which is for deployment container", id="native"),
        pytest.param({"engine": "vllm", "runtime": "vllm"}, "its program is that of the image", id="environment"),
        pytest.param({"model": {"path": "/model.gguf"}}, "has its model in '/'", id="the-whole-host"),
        pytest.param({"model": {"path": "/srv/a,b/m.gguf"}}, "cannot be mounted in a container", id="comma"),
        pytest.param({"limits": {"memory_gib": 0}}, "has limits.memory_gib 0; set it to a number above 0", id="memory"),
        pytest.param({"limits": {"cpus": "all"}}, "has limits.cpus 'all'; set it to numbers and ranges", id="cpus"),
        pytest.param({"binary": "serve"}, "has binary 'serve'; give an absolute path", id="program"),
    ],
)
def test_what_is_refused_is_one_sentence(more, problem):
    (found,) = built(chat(**more)).problems
    assert problem in found
    assert found.startswith("Model server instance 'chat' ") and found.endswith(".")


def test_a_program_in_an_image_is_not_searched_for_on_the_host(engine):
    component = made(chat(binary="/home/app/serve"), engine=engine)
    paths = [item["path"] for item in component["requires"] if item["kind"] == "path"]
    assert paths == ["/srv/models/v1.gguf", f"/usr/bin/{engine}"]


@pytest.mark.parametrize(
    ("name", "program", "begins"),
    [
        ("llama_cpp", "/app/llama-server", []),
        ("vllm", "vllm", ["serve", "/srv/models/v1.gguf", "--host", "127.0.0.1", "--port", "8001"]),
        ("sglang", "sglang", ["serve", "--model-path", "/srv/models/v1.gguf", "--host", "127.0.0.1", "--port", "8001"]),
        ("tei", "text-embeddings-router", ["--model-id", "/srv/models/v1.gguf", "--hostname", "127.0.0.1"]),
        ("triton", "/opt/tritonserver/bin/tritonserver", ["--model-repository", "/srv/models/v1.gguf"]),
        ("ollama", "ollama", ["serve"]),
    ],
)
def test_what_runs_in_images_of_the_makers(engine, name, program, begins):
    assert {*ENGINES} == {"llama_cpp", "vllm", "sglang", "tei", "triton", "ollama"}
    found = run_words(made(chat(engine=name), engine=engine))
    entry, image = found.index("--entrypoint"), found.index(IMAGE)
    assert found[entry + 1] == program
    assert found[image + 1 :][: len(begins)] == begins


def test_a_key_of_sglang_is_in_the_memory_of_its_container(engine):
    found = run_words(made(chat(engine="sglang", api_key=KEY), engine=engine))
    assert found[found.index("--entrypoint") + 1] == "/bin/sh" and KEY not in " ".join(found)
    assert any(word.startswith("--tmpfs=/dev/shm:rw") for word in found)
    assert found[-1] == "warning" and found[found.index("--config") + 1] == "/dev/shm/key.yaml"


def test_ollama_in_a_container_is_given_its_model_there(engine, tmp_path):
    unit = unit_of(made(chat(engine="ollama"), engine=engine))
    assert unit["TimeoutStartSec"] == ["1800"]
    client, told = tmp_path / "client", tmp_path / "told"
    client.write_text(
        "#!/bin/sh\n"
        f'{{ printf "%s " "$@"; [ "$5" != create ] || cat; echo; }} >>{told}\n'
        'if [ "$5" = list ]; then printf "%s x\\n" NAME old:latest older:latest chat:latest; fi\n'
        '[ "$5" != rm ] || cat >/dev/null\n'  # as a client does that is told to pass on what it reads
    )
    client.chmod(0o755)
    command = unit["ExecStartPost"][0].replace(f"/usr/bin/{engine}", str(client))
    done = run_by_systemd(command, tmp_path / "none", MAINPID=str(os.getpid()), CACHE_DIRECTORY=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    inside = "exec --interactive mlops-model-chat ollama"
    assert [line.strip() for line in told.read_text().splitlines()] == [
        f"{inside} list",
        f"{inside} create chat -f /dev/stdin FROM /srv/models/v1.gguf",
        "",
        f"{inside} list",
        f"{inside} rm old:latest",
        f"{inside} rm older:latest",
        f"{inside} list",
    ]
    assert (tmp_path / "models").read_text() == "old:latest x\nolder:latest x\nchat:latest x\n"


def test_an_engine_without_images_is_native_only(monkeypatch):
    class Other(LlamaCpp):
        name, deployments = "other", ("native",)

    monkeypatch.setitem(ENGINES, "other", Other())
    (found,) = built(chat(engine="other")).problems
    assert "asks for deployment 'container'; deployments of other that work now: native" in found


def test_deployments_of_engines_are_choices_of_the_option():
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    choices = specs["model_server_instances"]["options"]["deployment"]["choices"]
    assert {name for engine in ENGINES.values() for name in engine.deployments} == {*choices}


def _without_head(quadlet):
    return quadlet[quadlet.index("[Unit]") :].rstrip()


def test_a_quadlet_gives_podman_what_docker_is_given():
    """The generator takes quotes away and adds some, which differ between versions."""
    recordings = sorted((DATA / "podman").glob("*/mlops-model-chat.service"))
    assert recordings
    item = vllm(api_key=KEY, extra_args=["--seed", "1 $HOME %d \"x\" 'y'"], gpus={"uuids": [GPU]})
    docker = run_words(made(item, engine="docker"))
    for recording in recordings:
        quadlet = recording.with_name("mlops-model-chat.container").read_text()
        assert _without_head(quadlet) == _without_head(rendered(made(item))), (
            "record it again: tests/unit/data/podman/README"
        )
        (line,) = [line for line in recording.read_text().splitlines() if line.startswith("ExecStart=")]
        given = by_systemd(line.partition("=")[2])
        assert given[given.index(IMAGE) :] == docker[docker.index(IMAGE) :]
        ours = {
            word
            for word in docker[: docker.index(IMAGE)]
            if not word.startswith(("--pids", "--log", "--cid", "--name"))
        }
        assert ours <= {*given}


def by_systemd(text):
    """Words of ``ExecStart=`` with escapes as systemd reads them."""
    return [
        word.encode().decode("unicode_escape").replace("$$", "$").replace("%%", "%")
        for word in shlex.split(text.replace("\\x", "\\\\x"))
    ]


def test_recordings_are_whole():
    assert {path.name for path in (DATA / "podman").glob("*/mlops-model-*")} == {
        "mlops-model-chat.container",
        "mlops-model-chat.service",
    }
    assert pathlib.Path(DATA / "podman/README").is_file()
