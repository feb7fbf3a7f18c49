#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play SGLang 0.5.23, Text Embeddings Inference 1.9.3, Ollama 0.32.15 or Triton 2.71.0, by the name of the program.

    sglang serve --model-path MODEL --port PORT [--config KEY.yaml] [FLAG...]
    text-embeddings-router --model-id MODEL --port PORT [FLAG...]
    ollama serve | list | create NAME -f MODELFILE | rm NAME
    tritonserver --model-repository REPOSITORY --http-port PORT [FLAG...]

As far as what runs them can see: starts, stops, crashes, logs, and who is let in. No model runs. SGLang does what the
real one was seen to do, the others what their source says:
- SGLang binds last. With its port taken it says that it is ready and exits with status 3. When it is told to stop it
  waits for open streams, says 503 and takes new ones. When its scheduler, a child process, dies, it kills itself. It
  logs its key, at level info.
- Text Embeddings Inference binds last, and logs its key in its first line. A host that is no address is all addresses.
- Ollama listens at once, keeps what it is given below HOME, and cuts what is open when it is told to stop. The digest
  of a model is that of its manifest, and not that of its file. What no model has any more goes.
- Triton binds last, and does not start with a model that does not load: one without a version. What a model states is
  in its config.json.

Environment: FAKE_LOAD_S (seconds), FAKE_TOKEN_S (seconds a token), FAKE_VECTOR (the vector, as JSON).
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import math
import os
import pathlib
import re
import shutil
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any, Callable

import fake_vllm

SGLANG = {
    *("--model-path", "--host", "--port", "--served-model-name", "--context-length", "--max-running-requests"),
    *("--mem-fraction-static", "--tp-size", "--device", "--config", "--log-level"),
}
TEI = {"--model-id", "--hostname", "--port", "--served-model-name"}
TRITON = {
    *("--model-repository", "--http-address", "--http-port", "--allow-grpc", "--allow-metrics", "--exit-timeout-secs"),
}
WIDTHS = {"BOOL": 1, "INT32": 4, "FP32": 4, "INT64": 8, "BYTES": 4}


class Server(fake_vllm.Server):
    """A server that has its port when it has loaded. ``key``: None where nobody is asked for one."""

    def __init__(self, handler: type[Handler], host: str, port: int, name: str, key: str | None = None) -> None:
        super().__init__(host, port, name, math.inf)
        self.RequestHandlerClass = handler
        self.key = key
        self.models: dict[str, Any] = {}

    def watch_core(self) -> None:
        self.core.wait()
        if not self.stopping:
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)

    def run(self, *, taken: Callable[[OSError], int]) -> None:
        """While it loads it dies of SIGTERM. ``taken`` says what is said without the port, and returns the status."""
        print("Loading", flush=True)
        time.sleep(float(os.environ.get("FAKE_LOAD_S", "0.5")))
        try:
            self.server_bind()
        except OSError as exc:
            self._leave(taken(exc))
        self.server_activate()
        print("Ready", flush=True)
        stop = threading.Thread(target=self.stop, daemon=True)
        signal.signal(signal.SIGTERM, lambda *_args: stop.start() if not stop.ident else None)
        threading.Thread(target=self.watch_core, daemon=True).start()
        self.serve_forever(poll_interval=0.05)

    def _leave(self, status: int) -> None:
        self.core.kill()
        os._exit(status)


class Handler(fake_vllm.Handler):
    """``open_paths``: how paths begin that are open to all."""

    server: Server
    open_paths: tuple[str, ...] = ()

    def _may(self) -> bool:
        key = self.server.key
        return key is None or self.headers["Authorization"] == f"Bearer {key}"

    def do_GET(self) -> None:
        if self.path.startswith(self.open_paths):
            self._answer(503 if self.server.stopping else 200, {})
        elif not self._may():
            self._answer(401, {"error": "Unauthorized"})
        else:
            self.get()

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self._may():
            self._answer(401, {"error": "Unauthorized"})
        else:
            self.post(json.loads(raw[: int(self.headers.get("Inference-Header-Content-Length", len(raw)))] or b"{}"))

    def get(self) -> None:
        if self.path == "/v1/models":
            self._answer(200, {"object": "list", "data": [{"id": self.server.name}]})
        else:
            self._answer(404, {"detail": "Not Found"})

    def post(self, asked: Any) -> None:
        raise NotImplementedError

    def stream(self, asked: Any) -> None:
        with self.server.counting:
            self.server.streams += 1
        try:
            self._stream(int(asked.get("max_tokens", 16)))
        finally:
            with self.server.counting:
                self.server.streams -= 1


def arguments(program: str, words: list[str], valued: set[str], status: int) -> dict[str, str]:
    given: dict[str, str] = {}
    rest = list(words)
    while rest:
        flag, has_value, value = rest.pop(0).partition("=")
        if flag not in valued:
            print(f"{program}: error: unrecognized arguments: {flag}", file=sys.stderr)
            raise SystemExit(status)
        given[flag] = value if has_value else rest.pop(0)
    return given


# SGLang


class SglangHandler(Handler):
    open_paths = ("/health", "/ready", "/metrics")

    def post(self, asked: Any) -> None:
        if self.path in ("/v1/chat/completions", "/v1/completions", "/generate"):
            self.stream(asked)
        else:
            self._answer(404, {"detail": "Not Found"})


def sglang(argv: list[str]) -> None:
    given = arguments("sglang serve", argv[1:], SGLANG, 2)
    key = None
    if "--config" in given:
        found = re.fullmatch(r"api-key: '(.*)'\n", pathlib.Path(given["--config"]).read_text())
        if found is None:
            raise SystemExit("ValueError: Config file must contain a dictionary at root level")
        key = found[1].replace("''", "'")
    if given.get("--log-level", "info") == "info":
        print(f"server_args={ {'model_path': given['--model-path'], 'api_key': key} }", flush=True)
    if not pathlib.Path(given["--model-path"], "config.json").is_file():
        raise SystemExit("ValueError: Unrecognized model. Should have a model_type key in its config.json")

    def taken(exc: OSError) -> int:
        print(f"ERROR: {exc}\nThe server is fired up and ready to roll!", flush=True)
        return 3

    host, port = given.get("--host", "127.0.0.1"), int(given.get("--port", "30000"))
    Server(SglangHandler, host, port, given.get("--served-model-name", given["--model-path"]), key).run(taken=taken)


# Text Embeddings Inference


class TeiHandler(Handler):
    open_paths = ("/health", "/ping", "/metrics", "/docs", "/api-doc/")

    def post(self, asked: Any) -> None:
        if self.path == "/v1/embeddings":
            numbers = [byte / 256 for byte in hashlib.sha256(str(asked["input"]).encode()).digest()]
            vector = json.loads(os.environ.get("FAKE_VECTOR", json.dumps(numbers)))
            self._answer(200, {"model": self.server.name, "data": [{"index": 0, "embedding": vector}]})
        else:
            self._answer(424, {"error": "Model is not a re-ranker model", "error_type": "Backend"})


def tei(argv: list[str]) -> None:
    given = arguments("text-embeddings-router", argv, TEI, 2)
    key = os.environ.get("API_KEY")
    if "text_embeddings_router=warn" not in os.environ.get("LOG_LEVEL", "info"):
        print(f'INFO text_embeddings_router: Args {{ model_id: "***", api_key: Some("{key}") }}', flush=True)
    if not pathlib.Path(given["--model-id"], "config.json").is_file():
        raise SystemExit("Error: `config.json` not found")
    try:
        host = str(ipaddress.ip_address(given.get("--hostname", "0.0.0.0")))
    except ValueError:
        host = "0.0.0.0"
    name = given.get("--served-model-name", given["--model-id"])

    def taken(_exc: OSError) -> int:
        print("Error: Could not bind TCP Listener", file=sys.stderr, flush=True)
        return 1

    Server(TeiHandler, host, int(given.get("--port", "3000")), name, key).run(taken=taken)


# Ollama


class OllamaServer(Server):
    def stop(self) -> None:
        self._leave(0)


class OllamaHandler(Handler):
    open_paths = ("/api/version",)

    def get(self) -> None:
        names = sorted(self.server.models)
        if self.path == "/v1/models":
            self._answer(200, {"object": "list", "data": [{"id": name} for name in names]})
        elif self.path == "/api/tags":
            digests = {name: digest_of_manifest(blob) for name, blob in self.server.models.items()}
            self._answer(200, {"models": [{"name": name, "digest": digests[name]} for name in names]})
        else:
            self._answer(404, {"error": "not found"})

    def post(self, asked: Any) -> None:
        name = asked["model"] if ":" in asked["model"] else f"{asked['model']}:latest"
        if self.path == "/api/create":
            self._create(name, pathlib.Path(asked["from"]))
        elif self.path == "/api/delete":  # a POST here, and a DELETE of the real one
            del self.server.models[name]
            self._keep()
            self._answer(200, {})
        elif name not in self.server.models:
            self._answer(404, {"error": {"message": f'model "{asked["model"]}" not found', "type": "not_found_error"}})
        elif self.path in ("/v1/chat/completions", "/v1/completions"):
            self.stream(asked)
        else:
            self._answer(404, {"error": "not found"})

    def _create(self, name: str, source: pathlib.Path) -> None:
        raw = source.read_bytes()
        if not raw.startswith(b"GGUF"):
            self._answer(400, {"error": "invalid file magic"})
            return
        blob = f"sha256-{hashlib.sha256(raw).hexdigest()}"
        blobs = store() / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, blobs / blob)
        self.server.models[name] = blob
        self._keep()
        self._answer(200, {"status": "success"})

    def _keep(self) -> None:
        (store() / "manifests.json").write_text(json.dumps(self.server.models))
        for path in (store() / "blobs").iterdir():
            if path.name not in self.server.models.values():
                path.unlink()


def digest_of_manifest(blob: str) -> str:
    return hashlib.sha256(json.dumps({"layers": [blob]}).encode()).hexdigest()


def store() -> pathlib.Path:
    return pathlib.Path(os.environ.get("OLLAMA_MODELS", pathlib.Path.home() / ".ollama/models"))


def call(path: str, document: Any = None) -> Any:
    """As a client of the server; one that is not there, and a refusal, are status 1."""
    data = None if document is None else json.dumps(document).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{os.environ['OLLAMA_HOST']}{path}", data) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as exc:
        raise SystemExit(f"Error: {json.loads(exc.read())['error']}") from None
    except OSError:
        raise SystemExit("Error: could not connect to ollama server, run 'ollama serve' to start it") from None


def ollama(argv: list[str]) -> None:
    if argv == ["list"]:
        print("NAME    ID    SIZE    MODIFIED")
        for model in call("/api/tags")["models"]:
            print(f"{model['name']}    {model['digest'][:12]}    1 MB    now")
    elif argv[:1] == ["rm"]:
        call("/api/delete", {"model": argv[1]})
    elif argv[:1] == ["create"] and argv[2] == "-f":
        source = pathlib.Path(argv[3]).read_text().removeprefix("FROM ").strip()
        print("\rcopying file 100%", file=sys.stderr)
        call("/api/create", {"model": argv[1], "from": source})
    elif argv == ["serve"]:
        host, _colon, port = os.environ.get("OLLAMA_HOST", "127.0.0.1:11434").rpartition(":")
        server = OllamaServer(OllamaHandler, host.strip("[]"), int(port), "")
        manifests = store() / "manifests.json"
        server.models = json.loads(manifests.read_text()) if manifests.exists() else {}

        def taken(exc: OSError) -> int:
            print(f"Error: listen tcp: {exc}", file=sys.stderr, flush=True)
            return 1

        server.run(taken=taken)
    else:
        raise SystemExit(f"Error: unknown command {argv}")


# Triton


class TritonHandler(Handler):
    open_paths = ("/v2/health",)

    def get(self) -> None:
        name = self.path.removeprefix("/v2/models/")
        if name in self.server.models:
            self._answer(200, {"name": name, "platform": "fake", **self.server.models[name]})
        else:
            self._answer(404, {"error": f"Request for unknown model: '{name}' is not found"})

    def post(self, asked: Any) -> None:
        name = self.path.removeprefix("/v2/models/").removesuffix("/infer")
        if self.path == "/v2/repository/index":
            self._answer(200, [{"name": name, "state": "READY"} for name in sorted(self.server.models)])
        elif name not in self.server.models:
            self._answer(404, {"error": f"Request for unknown model: '{name}' is not found"})
        else:
            self._infer(self.server.models[name], asked)

    def _infer(self, model: Any, asked: Any) -> None:
        names = {one["name"] for one in model["inputs"]}
        if {one["name"] for one in asked["inputs"]} != names:
            self._answer(400, {"error": f"expected {len(names)} inputs but got {len(asked['inputs'])} inputs"})
            return
        outputs, size = [], 0
        for one in model["outputs"]:
            shape = [abs(length) for length in one["shape"]]
            mine = math.prod(shape) * WIDTHS[one["datatype"]]
            outputs.append({**one, "shape": shape, "parameters": {"binary_data_size": mine}})
            size += mine
        head = json.dumps({"outputs": outputs}).encode()
        body = head + bytes(size)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Inference-Header-Content-Length", str(len(head)))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def triton(argv: list[str]) -> None:
    given = arguments("tritonserver", argv, TRITON, 1)
    repository = pathlib.Path(given["--model-repository"])
    models = {path.name: path for path in repository.iterdir() if path.is_dir()}
    for name, path in models.items():
        if not (path / "1").is_dir():
            raise SystemExit(f"error: creating server: Internal - failed to load all models: {name} has no version")
    host = given.get("--http-address", "0.0.0.0").removeprefix("ipv6:")
    server = Server(TritonHandler, host, int(given.get("--http-port", "8000")), "")
    server.models = {name: json.loads((path / "config.json").read_text()) for name, path in models.items()}

    def taken(_exc: OSError) -> int:
        print(
            f"failed to start HTTP service: Unavailable - Socket '{host}' already in use", file=sys.stderr, flush=True
        )
        return 1

    server.run(taken=taken)


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "sglang": sglang,
    "text-embeddings-router": tei,
    "ollama": ollama,
    "tritonserver": triton,
}


if __name__ == "__main__":
    PROGRAMS[pathlib.Path(sys.argv[0]).name](sys.argv[1:])
