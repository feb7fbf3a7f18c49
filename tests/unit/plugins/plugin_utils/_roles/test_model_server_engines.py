# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each server program is told, may do and is asked, and the flags that it has."""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines import ENGINES

from .model_server import (
    GPU,
    KEY,
    WEIGHTS,
    built,
    chat,
    file,
    lines_of_environment,
    made,
    problems,
    run_by_systemd,
    unit_of,
    vllm,
)


def test_vllm_is_told_all_that_it_would_choose_itself():
    (word, *words) = unit_of(made(vllm()))["ExecStart"][0].split()
    assert word == '"/opt/vllm/bin/vllm"'
    assert " ".join(words).replace('"', "") == (
        f"serve {WEIGHTS} --host 127.0.0.1 --port 8001 --served-model-name chat --shutdown-timeout 60"
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({"context_size": 4096}, '"--max-model-len" "4096"', id="context"),
        pytest.param({"parallel": 8}, '"--max-num-seqs" "8"', id="parallel"),
        pytest.param({"memory_share": 0.2}, '"--gpu-memory-utilization" "0.2"', id="memory"),
        pytest.param({"gpus": {"uuids": [GPU, f"{GPU}2"]}}, '"--tensor-parallel-size" "2"', id="gpus"),
        pytest.param({"extra_args": ["--enforce-eager"]}, '"--shutdown-timeout" "60" "--enforce-eager"', id="extra"),
    ],
)
def test_options_of_vllm_are_in_its_own_terms(given, words):
    assert unit_of(made(vllm(**given)))["ExecStart"][0].endswith(words)


def test_vllm_comes_back_when_its_core_has_died():
    unit = unit_of(made(vllm()))
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == (["always"], ["1800"])
    assert (unit["KillMode"], unit["TimeoutStopSec"]) == (["mixed"], ["90"])  # more than its own timeout
    assert unit["CacheDirectory"] == ["mlops-model-chat"]
    assert not {"SocketBindDeny", "MemoryDenyWriteExecute", "ProcSubset"} & unit.keys()


def test_vllm_asks_nobody_for_anything():
    lines = lines_of_environment(made(vllm(gpus={"uuids": [GPU]})))
    assert {'HF_HUB_OFFLINE="1"', 'TRANSFORMERS_OFFLINE="1"', 'VLLM_NO_USAGE_STATS="1"', 'DO_NOT_TRACK="1"'} <= {*lines}
    assert f'CUDA_VISIBLE_DEVICES="{GPU}"' in lines


def test_processes_of_vllm_meet_on_loopback():
    lines = lines_of_environment(made(vllm(host="0.0.0.0", api_key=KEY)))
    assert {'VLLM_HOST_IP="127.0.0.1"', 'GLOO_SOCKET_IFNAME="lo"', 'NCCL_SOCKET_IFNAME="lo"'} <= {*lines}


def test_the_key_of_vllm_comes_from_its_file_and_is_no_argument(tmp_path):
    found = built(vllm(api_key=KEY, extra_args=["a b", "$HOME", "%d"]))
    key_file, program = tmp_path / "api_key", tmp_path / "vllm"
    key_file.write_text(file(found.component, "/api_key")["content"])
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$VLLM_API_KEY" "$@"\n')
    program.chmod(0o755)
    command = unit_of(found.component)["ExecStart"][0]
    assert KEY not in command
    done = run_by_systemd(command.replace("/opt/vllm/bin/vllm", str(program)), key_file)
    assert done.stdout.splitlines()[:2] == [KEY, "serve"]
    assert done.stdout.splitlines()[-3:] == ["a b", "$HOME", "%d"]


def test_vllm_does_not_start_without_its_key(tmp_path):
    key_file = tmp_path / "api_key"
    key_file.write_text("# none\n")
    done = run_by_systemd(unit_of(made(vllm(api_key_file="/etc/key")))["ExecStart"][0], key_file)
    assert (done.returncode, done.stdout) == (1, "")


def test_what_the_key_of_vllm_leaves_open_is_told():
    found = built(vllm(api_key=KEY, host="0.0.0.0"))
    assert "/invocations" in found.published["open_paths"]["chat"]
    assert "'chat' listens on 0.0.0.0, where its key does not close /invocations, " in found.notices[0]
    closed = found.component["ready"][0]["inference"]["closed_paths"]
    assert "/v1/chat/completions" in closed
    assert not set(closed) & set(found.published["open_paths"]["chat"])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"model": None}, "set model.path to a directory with config.json", id="no-model"),
        pytest.param({"memory_share": 0.0}, "has memory_share 0.0; set it to a number above 0", id="no-memory"),
        pytest.param({"memory_share": 20.0}, "has memory_share 20.0", id="memory-in-percent"),
        pytest.param({"gpu_layers": "all"}, "has gpu_layers, which vllm does not have", id="option-of-another"),
        pytest.param({"extra_args": ["--max-model-len=1"]}, "which the role sets; use context_size", id="ours"),
        pytest.param({"extra_args": ["--api-key", KEY]}, "which the role sets; use api_key", id="key-in-argv"),
        pytest.param({"environment": {"VLLM_API_KEY": KEY}}, "which the role sets; use api_key", id="key-in-env"),
        pytest.param({"environment": {"HF_HUB_OFFLINE": "0"}}, "which the role sets; use model", id="online"),
        pytest.param({"environment": {"HF_TOKEN": KEY}}, "where others can read it", id="token"),
        pytest.param({"environment": {"VLLM_SERVER_DEV_MODE": "1"}}, "hands the host", id="dev-mode"),
        pytest.param({"extra_args": ["--allowed-local-media-path", "/"]}, "hands the host", id="files-of-the-host"),
    ],
)
def test_what_vllm_cannot_do_is_refused(given, problem):
    (found,) = problems([vllm(**given)])
    assert problem in found
    assert KEY not in found


def test_vllm_is_no_package():
    (problem,) = built(vllm(binary=None)).problems
    assert problem == (
        "No package with vllm is known for Debian forky, and model server instance 'chat' has no binary; set its "
        "binary to a vllm on the host, or set model_server_packages."
    )


# SGLang


def sglang(**more):
    return chat(**{"engine": "sglang", "binary": "/opt/sglang/bin/sglang", "model": {"path": WEIGHTS}, **more})


def test_sglang_is_told_all_that_it_would_choose_itself():
    assert unit_of(made(sglang()))["ExecStart"][0].replace('"', "") == (
        f"/opt/sglang/bin/sglang serve --model-path {WEIGHTS} --host 127.0.0.1 --port 8001 --served-model-name chat "
        "--device cpu"
    )
    full = sglang(context_size=4096, parallel=8, memory_share=0.7, gpus={"uuids": [GPU, f"{GPU}2"]})
    assert (
        unit_of(made(full))["ExecStart"][0]
        .replace('"', "")
        .endswith("--context-length 4096 --max-running-requests 8 --mem-fraction-static 0.7 --tp-size 2")
    )


def test_sglang_stays_on_the_host_and_its_health_is_cheap():
    lines = lines_of_environment(made(sglang(gpus={"uuids": [GPU]})))
    assert {'HF_HUB_OFFLINE="1"', 'TRANSFORMERS_OFFLINE="1"', 'SGLANG_HOST_IP="127.0.0.1"'} <= {*lines}
    assert {'SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION="0"', f'CUDA_VISIBLE_DEVICES="{GPU}"'} <= {*lines}


def test_sglang_may_drain_and_comes_back_when_its_scheduler_has_died():
    unit = unit_of(made(sglang()))
    assert (unit["Restart"], unit["KillMode"], unit["TimeoutStopSec"]) == (["on-failure"], ["mixed"], ["90"])


@pytest.mark.parametrize("key", [KEY, "it's", "'", '"a$(id)`&\\1%d', "12345", "true", "a:b#c"])
def test_the_key_of_sglang_is_in_a_file_of_its_own_memory(tmp_path, key):
    key_file, program, config = tmp_path / "api_key", tmp_path / "sglang", tmp_path / "key.yaml"
    key_file.write_text(f"# comment\n{key}\n")
    program.write_text('#!/bin/sh\nstat -c %a "$CONFIG"; printf "%s\\n" "$@"; env\n')
    program.chmod(0o755)
    command = unit_of(made(sglang(api_key=key)))["ExecStart"][0]
    assert shlex.split(command)[-4:] == ["--config", "/dev/shm/key.yaml", "--log-level", "warning"]
    command = command.replace("/opt/sglang/bin/sglang", str(program)).replace("/dev/shm/key.yaml", str(config))
    done = run_by_systemd(command, key_file, CONFIG=str(config))
    assert done.stdout.splitlines()[:2] == ["600", "serve"]
    assert yaml.safe_load(config.read_text()) == {"api-key": key}
    assert not [line for line in done.stdout.splitlines() if key in (line, line.partition("=")[2])]


def test_sglang_does_not_start_without_its_key(tmp_path):
    key_file = tmp_path / "api_key"
    key_file.write_text("# none\n")
    command = unit_of(made(sglang(api_key_file="/etc/key")))["ExecStart"][0]
    done = run_by_systemd(command.replace("/dev/shm", str(tmp_path)), key_file)
    assert (done.returncode, done.stdout, [*tmp_path.glob("*.yaml")]) == (1, "", [])


def test_without_a_key_the_log_of_sglang_is_the_choice_of_the_user():
    assert problems([sglang(extra_args=["--log-level", "debug"])]) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"model": None}, "set model.path to a directory with config.json", id="no-model"),
        pytest.param({"memory_share": 2.0}, "has memory_share 2.0; set it to a number above 0", id="memory"),
        pytest.param({"extra_args": ["--api-key", KEY]}, "which the role sets; use api_key", id="key-in-argv"),
        pytest.param({"extra_args": ["--admin-api", KEY]}, "--admin-api-key in extra_args", id="short-key-in-argv"),
        pytest.param({"extra_args": ["--config", "/x.yaml"]}, "which the role sets; use extra_args", id="config"),
        pytest.param({"extra_args": ["--enable-custom-logit-processor"]}, "hands the host", id="code-of-clients"),
        pytest.param({"extra_args": ["--enable-ep-moe"]}, "sglang no longer has; use --ep-size", id="renamed"),
        pytest.param({"environment": {"SGLANG_HOST_PI": "1"}}, "such as SGLANG_HOST_IP", id="misspelt-variable"),
        pytest.param({"api_key": "-secret"}, "has an api_key that begins with '-'", id="key-like-an-argument"),
        pytest.param(
            {"api_key": KEY, "extra_args": ["--log-level=info"]}, "with which sglang can log its key", id="key-in-log"
        ),
    ],
)
def test_what_sglang_cannot_do_is_refused(given, problem):
    (found,) = problems([sglang(**given)])
    assert problem in found
    assert KEY not in found and "secret" not in found


# Text Embeddings Inference


def tei(**more):
    return chat(**{"engine": "tei", "binary": "/opt/tei/text-embeddings-router", "model": {"path": WEIGHTS}, **more})


@pytest.mark.parametrize(("host", "told"), [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
def test_tei_is_told_an_address(host, told):
    assert unit_of(made(tei(host=host)))["ExecStart"][0].replace('"', "") == (
        f"/opt/tei/text-embeddings-router --model-id {WEIGHTS} --hostname {told} --port 8001 --served-model-name chat"
    )


def test_tei_is_asked_for_a_vector():
    found = built(tei(api_key=KEY))
    (ready,), (probe,) = found.component["ready"], found.verify["probes"]
    assert (ready["inference"]["kind"], probe["kind"]) == ("embedding", "embedding")
    assert {"/v1/embeddings", "/embed", "/rerank", "/predict"} <= {*ready["inference"]["closed_paths"]}
    assert "max_tokens" not in ready["inference"] and probe["max_tokens"] is None


def test_the_key_of_tei_comes_from_its_file_and_is_not_logged(tmp_path):
    component = made(tei(api_key=KEY))
    key_file, program = tmp_path / "api_key", tmp_path / "router"
    key_file.write_text(file(component, "/api_key")["content"])
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$API_KEY" "$@"\n')
    program.chmod(0o755)
    command = unit_of(component)["ExecStart"][0]
    done = run_by_systemd(command.replace("/opt/tei/text-embeddings-router", str(program)), key_file)
    assert done.stdout.splitlines()[:2] == [KEY, "--model-id"]
    assert KEY not in command
    # What main.rs writes at info is its arguments, with the key.
    (level,) = [line for line in lines_of_environment(component) if line.startswith("LOG_LEVEL")]
    assert level == 'LOG_LEVEL="info,text_embeddings_router=warn,text_embeddings_router::http=info"'


def test_without_a_key_the_log_of_tei_is_the_choice_of_the_user():
    assert lines_of_environment(made(tei(environment={"LOG_LEVEL": "debug"})))[-1] == 'LOG_LEVEL="debug"'
    assert not [line for line in lines_of_environment(made(tei())) if line.startswith("LOG_LEVEL")]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"model": None}, "set model.path to a directory with config.json, tokenizer", id="no-model"),
        pytest.param({"runtime": "tei", "binary": None}, "tei is no Python program; leave it out", id="environment"),
        pytest.param({"parallel": 2}, "has parallel, which tei does not have", id="option-of-another"),
        pytest.param({"gate": {"max_tokens": 4}}, "has gate.max_tokens, which tei does not have", id="tokens"),
        pytest.param({"gate": {"expect": "x"}}, "has gate.expect, which tei does not have", id="text"),
        pytest.param({"gpus": {"uuids": [GPU, f"{GPU}2"]}}, "has 2 GPUs, and tei uses one", id="two-gpus"),
        pytest.param({"extra_args": ["--api-key", KEY]}, "which the role sets; use api_key", id="key-in-argv"),
        pytest.param({"environment": {"API_KEY": KEY}}, "which the role sets; use api_key", id="key-in-env"),
        pytest.param({"environment": {"HOSTNAME": "0.0.0.0"}}, "which the role sets; use host", id="host-in-env"),
        pytest.param({"environment": {"HF_TOKEN": KEY}}, "where others can read it", id="token"),
        pytest.param({"extra_args": ["--max-batch-token=1"]}, "such as --max-batch-tokens", id="misspelt"),
        pytest.param(
            {"api_key": KEY, "environment": {"LOG_LEVEL": "info"}}, "with which tei can log its key", id="key-in-log"
        ),
    ],
)
def test_what_tei_cannot_do_is_refused(given, problem):
    item = tei(**given)
    found = built({key: value for key, value in item.items() if value is not None}, environments=[]).problems
    assert problem in found[0]
    assert len(found) == 1
    assert KEY not in found[0]


# Ollama


def ollama(**more):
    return chat(**{"engine": "ollama", "binary": "/opt/ollama/bin/ollama", **more})


@pytest.mark.parametrize(
    ("host", "told"), [("127.0.0.1", "127.0.0.1:8001"), ("localhost", "localhost:8001"), ("::1", "[::1]:8001")]
)
def test_ollama_reads_variables(host, told):
    component = made(ollama(host=host, context_size=4096, parallel=2, gpus={"uuids": [GPU]}))
    lines = lines_of_environment(component)
    assert {f'OLLAMA_HOST="{told}"', 'OLLAMA_CONTEXT_LENGTH="4096"', 'OLLAMA_NUM_PARALLEL="2"'} <= {*lines}
    assert {'OLLAMA_NO_CLOUD="1"', 'OLLAMA_KEEP_ALIVE="-1"', f'CUDA_VISIBLE_DEVICES="{GPU}"'} <= {*lines}
    assert unit_of(component)["ExecStart"] == ['"/opt/ollama/bin/ollama" serve']


def test_the_store_of_ollama_outlives_the_process_and_a_start_may_take_its_time():
    unit = unit_of(made(ollama()))
    assert unit["CacheDirectory"] == ["mlops-model-chat"]
    assert unit["TimeoutStartSec"] == ["1800"]
    assert "TimeoutStartSec" not in unit_of(made(chat()))


@pytest.fixture
def taking(tmp_path):
    """Run ``ExecStartPost=`` with a program that listens at the third try, and tells what it was given."""

    def run(*, create="[ $1 = rm ] || { cat; echo taken; }", **environment):
        program, told = tmp_path / "ollama", tmp_path / "told"
        program.write_text(
            "#!/bin/sh\n"
            f'printf "%s " "$@" >>{told}\n'
            "if [ $1 = list ]; then\n"
            f"  [ $(grep -o list {told} | wc -l) -gt 2 ] || exit 1\n"
            '  printf "%s x 1 GB\\n" NAME old:latest chat:v1 chat:latest; exit\n'
            "fi\n"
            f"{{ {create}; }} >>{told}\n"
        )
        program.chmod(0o755)
        unit = unit_of(made(ollama(served_name="chat:v1", model={"path": "/srv/m 1/a'b$c%d.gguf"})))
        command = unit["ExecStartPost"][0].replace("/opt/ollama/bin/ollama", str(program))
        done = run_by_systemd(
            command, tmp_path / "none", **{"MAINPID": str(os.getpid()), "CACHE_DIRECTORY": str(tmp_path), **environment}
        )
        return done, told.read_text()

    return run


def test_ollama_is_given_its_model_when_it_listens(taking, tmp_path):
    done, told = taking()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert told.splitlines() == [
        "list list list create chat:v1 -f /dev/stdin FROM /srv/m 1/a'b$c%d.gguf",
        "taken",
        "list rm old:latest rm chat:latest list ",
    ]
    # This one removes nothing.
    assert (tmp_path / "models").read_text() == "old:latest x\nchat:v1 x\nchat:latest x\n"


def test_the_models_of_ollama_are_held_to_what_it_was_given():
    (ready,) = made(ollama())["ready"]
    assert (ready["unit"], ready["inference"]["models_file"]) == (
        "mlops-model-chat.service",
        "/var/cache/mlops-model-chat/models",
    )


def test_a_model_that_ollama_does_not_take_is_a_start_that_fails(taking):
    done, _told = taking(create="echo copying >&2; echo Error: invalid file magic >&2; exit 1")
    assert (done.returncode, done.stderr) == (1, "Error: invalid file magic\n")


def test_an_ollama_that_has_died_is_not_waited_for(taking):
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    done, told = taking(MAINPID=str(gone.pid))
    assert (done.returncode, told) == (1, "list ")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"model": None}, "set model.path to a GGUF file", id="no-model"),
        pytest.param(
            {"api_key": KEY},
            "has an API key, and ollama has no way to ask for one that others on the host cannot read; leave it out, "
            "set host 127.0.0.1, and put a gateway that asks for it before the server.",
            id="key",
        ),
        pytest.param({"api_key_file": "/etc/key", "host": "0.0.0.0"}, "and ollama has no way to ask", id="key-file"),
        pytest.param(
            {"host": "0.0.0.0"}, "could use it; set host 127.0.0.1, or allow_unauthenticated: true", id="open"
        ),
        pytest.param({"served_name": "a/b c"}, "has served_name 'a/b c', which ollama cannot give", id="name"),
        pytest.param({"gpu_layers": "all"}, "has gpu_layers, which ollama does not have", id="option-of-another"),
        pytest.param({"environment": {"OLLAMA_HOST": ":1"}}, "which the role sets; use host", id="host"),
        pytest.param({"environment": {"OLLAMA_KEEPALIVE": "1"}}, "such as OLLAMA_KEEP_ALIVE", id="misspelt"),
        pytest.param({"extra_args": ["--port=1"]}, "which ollama 0.32.15 does not have", id="argument"),
    ],
)
def test_what_ollama_cannot_do_is_refused(given, problem):
    (found,) = problems([ollama(**given)])
    assert problem in found
    assert KEY not in found


# Triton

REPOSITORY = "/srv/models/vision-v1"


def triton(**more):
    return chat(**{"engine": "triton", "binary": "/opt/t/tritonserver", "model": {"path": REPOSITORY}, **more})


@pytest.mark.parametrize(
    ("host", "told"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "ipv6:::1")]
)
def test_triton_is_told_an_address_and_opens_no_other_port(host, told):
    assert unit_of(made(triton(host=host)))["ExecStart"][0].replace('"', "") == (
        f"/opt/t/tritonserver --model-repository {REPOSITORY} --http-address {told} --http-port 8001 "
        "--allow-grpc false --allow-metrics false --exit-timeout-secs 60"
    )


def test_triton_may_drain():
    assert unit_of(made(triton()))["TimeoutStopSec"] == ["90"]


def test_a_model_of_triton_is_asked_to_infer():
    inputs = [{"name": "x", "data": [1, 2], "shape": None}]
    found = built(triton(served_name="resnet", gate={"inputs": inputs}))
    (ready,), (probe,) = found.component["ready"], found.verify["probes"]
    asked = {"kind": "tensor", "model": "resnet", "inputs": [{"name": "x", "data": [1, 2]}]}
    assert ready["inference"] == {"url": "http://127.0.0.1:8001", **asked}
    assert asked.items() <= probe.items()
    assert "inputs" not in made(triton())["ready"][0]["inference"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"model": None}, "set model.path to a model repository", id="no-model"),
        pytest.param({"api_key": KEY}, "and triton has no way to ask for one that others on", id="key"),
        pytest.param({"parallel": 2}, "has parallel, which triton does not have", id="option-of-another"),
        pytest.param({"gate": {"expect": "x"}}, "has gate.expect, which triton does not have", id="text"),
        pytest.param({"extra_args": ["--http-port=1"]}, "which the role sets; use port", id="ours"),
        pytest.param({"extra_args": ["--model-control=explicit"]}, "hands the host", id="models-of-clients"),
        pytest.param(
            {"extra_args": [f"--http-restricted-api=inference:key={KEY}"]}, "where others can read its value", id="argv"
        ),
        pytest.param({"extra_args": ["--log-verbse=1"]}, "such as --log-verbose", id="misspelt"),
    ],
)
def test_what_triton_cannot_do_is_refused(given, problem):
    (found,) = problems([triton(**given)])
    assert problem in found
    assert KEY not in found


def test_metrics_of_triton_are_a_choice():
    words = ["--allow-metrics=true", "--metrics-port=8102", "--log-verb", "1"]
    assert problems([triton(extra_args=words)]) == []
    assert unit_of(made(triton(extra_args=words)))["ExecStart"][0].endswith('"--metrics-port=8102" "--log-verb" "1"')


def test_inputs_are_of_tensors_alone():
    (found,) = problems([chat(gate={"inputs": [{"name": "x", "data": [1]}]})])
    assert "has gate.inputs, which llama_cpp does not have; leave it out" in found


# Flags


@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.name)
def test_what_an_engine_says_of_flags_is_what_its_program_documents(engine):
    known = engine.flags.names
    assert all(flag.startswith("-") or flag.isupper() for flag in known)
    assert not engine.renamed.keys() & known
    assert {new for flags in engine.renamed.values() for new in flags} <= known
    ours = [flag for flags in engine.reserved.values() for flag in flags]
    assert [flag for flag in ours if flag.startswith("-") and flag not in known] == []
    item = chat(engine=engine.name, model={"path": "/srv/m"}, binary="/opt/serve", gpus={"uuids": [GPU]})
    component = made({**item, **{name: 512 for name in ("context_size", "parallel") if name in engine.options}})
    words = shlex.split(unit_of(component)["ExecStart"][0])
    assert [word for word in words if word.startswith("--") and word not in known] == []
    names = [line.partition("=")[0] for line in lines_of_environment(component)]
    assert [name for name in names if name.startswith(engine.variables) and name not in known] in (
        [],
        ["LLAMA_ARG_WEBUI"],  # of older versions, in which it would be open
    )


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        pytest.param(
            vllm(extra_args=["--swap-space", "4"]),
            "has --swap-space in extra_args, which vllm no longer has; leave it out",
            id="gone",
        ),
        pytest.param(
            vllm(extra_args=["--disable_log_requests"]),
            "has --disable-log-requests in extra_args, which vllm no longer has; use --no-enable-log-requests",
            id="renamed-and-with-underscores",
        ),
        pytest.param(
            vllm(extra_args=["--task=embed"]), "which vllm no longer has; use --runner or --convert", id="split"
        ),
        pytest.param(
            vllm(extra_args=["--enforce-eagar"]),
            "has --enforce-eagar in extra_args, which vllm 0.32.0+cpu does not have; set one that it has, such as "
            "--enforce-eager, or allow_unknown_args: true for a program that has it",
            id="misspelt",
        ),
        pytest.param(vllm(extra_args=["--api_key", KEY]), "has --api-key in extra_args, which the role", id="key"),
        pytest.param(vllm(extra_args=["--api-k", KEY]), "has --api-key in extra_args, which the role", id="short-key"),
        pytest.param(
            vllm(environment={"VLLM_LOGING_LEVEL": "DEBUG"}), "such as VLLM_LOGGING_LEVEL", id="misspelt-variable"
        ),
        pytest.param(
            chat(extra_args=["--no-mmap"]), "which llama_cpp no longer has; use --load-mode", id="llama-renamed"
        ),
        pytest.param(chat(extra_args=["--flash-atn", "on"]), "such as --flash-attn", id="misspelt-for-llama"),
        pytest.param(
            chat(extra_args=["--api_key", KEY]), "has --api-key in extra_args, which the role", id="llama-key"
        ),
        pytest.param(
            chat(environment={"LLAMA_ARG_CTX_SIZ": "1"}),
            "has LLAMA_ARG_CTX_SIZ in environment, which llama-server 0.7.0 (build 11669) does not have; set one that "
            "it has, such as LLAMA_ARG_CTX_SIZE, or",
            id="a-variable-that-would-be-passed-over",
        ),
    ],
)
def test_a_flag_that_the_program_does_not_have_is_refused(item, problem):
    (found,) = problems([item])
    assert problem in found
    assert KEY not in found


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(vllm(extra_args=["-O3", "--compilation-config.mode=3", "-tp", "1", "--enforce_eager"]), id="vllm"),
        pytest.param(vllm(extra_args=["--dtype=bfloat16", "--seed", "-1"]), id="values"),
        pytest.param(vllm(environment={"OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": 1}), id="variables"),
        pytest.param(chat(extra_args=["-fa", "on", "--no_context_shift", "--metrics"]), id="llama"),
        pytest.param(vllm(extra_args=["--of-tomorrow"], allow_unknown_args=True), id="allowed"),
    ],
)
def test_a_flag_that_the_program_has_is_passed_on(item):
    assert problems([item]) == []


def test_what_is_refused_stays_so_among_unknown_flags():
    (found,) = problems([vllm(extra_args=["--api-k", KEY], allow_unknown_args=True)])
    assert "which the role sets; use api_key" in found
