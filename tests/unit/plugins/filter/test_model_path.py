# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a model is, said before it is there: by the filter model_path, and for instances that name an artefact."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mlops.hosts.plugins.filter.model_path import model_path
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._model.artifact import RunEnvironment, Settings, ensure
from ansible_collections.mlops.hosts.plugins.module_utils._model.desired import parse
from ansible_collections.mlops.hosts.plugins.module_utils._model.store import Ownership
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles import variables
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform
from ansible_collections.mlops.hosts.tests.unit.fakes import FakeReader, refused

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SUMS = ["a" * 64, "b" * 64]
STORE = "/var/lib/mlops-models"
HUB = {"name": "chat", "source": "hf://acme/chat", "revision": COMMIT}
ONE = {"name": "tiny", "source": "https://models.example/a%20b.gguf?key=x", "sha256": SUMS[0]}
SET = {
    "name": "set",
    "source": "file:///srv/set",
    "files": [{"path": "b/c.bin", "sha256": SUMS[1]}, {"path": "a.gguf", "sha256": SUMS[0]}],
}
ALL = [
    HUB,
    {**HUB, "name": "some", "include": ["*Q4_K_M.gguf", "*.json"], "exclude": ["x/*"]},
    {**HUB, "name": "named", "files": [{"path": "sub/x.gguf"}]},
    {**HUB, "name": "file", "source": "hf://acme/chat/sub/x.gguf", "revision": COMMIT.upper()},
    ONE,
    SET,
    {"name": "gone", "state": "absent"},
]


def instance(**model):
    return {"name": "srv", "port": 8001, "binary": "/opt/llama-server", "model": model}


def built(*instances, artifacts=ALL, store=STORE):
    if artifacts is not None:
        artifacts, problems = variables.borrow("model_server", "artifacts", artifacts, "model_store", {}, None)
        assert not problems
    options = {"state": "present", "scope": "", "user": "models", "user_groups": [], "packages": []}
    given = {"instances": list(instances), "artifacts": artifacts, "store_dir": store, "environments": None}
    return build({**options, **given}, Platform())


def served(found):
    """The path of the model in the configuration of the server."""
    (env,) = [file for file in found.component["files"] if file["path"].endswith("/env")]
    lines = env["template_vars"]["__model_server_env"]
    return next(line for line in lines if line.startswith("LLAMA_ARG_MODEL="))[len("LLAMA_ARG_MODEL=") :].strip('"')


@pytest.mark.parametrize("artifact", [one for one in ALL if one.get("state") != "absent"], ids=lambda one: one["name"])
def test_the_folder_is_the_one_that_the_store_makes(artifact, tmp_path):
    """The core is asked in check mode, with the answers of a hub that has just these files."""

    class Answer:
        status, headers, withheld_from = 200, {"content-length": "1"}, ""

        class body:
            @staticmethod
            def read(_most):
                names = ["x.gguf", "chat-Q4_K_M.gguf", "sub/x.gguf"]
                siblings = [{"rfilename": name, "size": 1, "lfs": {"sha256": SUMS[0], "size": 1}} for name in names]
                return json.dumps({"sha": COMMIT, "siblings": siblings}).encode()

        def __enter__(self):
            return self

        def __exit__(self, *_exc):
            pass

    if artifact["source"].startswith("file:"):
        artifact = {**artifact, "source": f"file://{tmp_path}"}
        for file in artifact["files"]:
            (tmp_path / file["path"]).parent.mkdir(exist_ok=True)
            (tmp_path / file["path"]).touch()
    environment = RunEnvironment(
        lambda url, **_: Answer(), lambda: 0.0, lambda: 0.0, print, lambda _: 10**12, lambda _: "/data"
    )
    asked = parse({"state": "present", **artifact}, endpoint="https://hub", token=None)
    made = ensure([asked], f"{tmp_path}/store", Ownership(), environment, Settings(), dry_run=True).artifacts[0]
    assert (
        model_path([*ALL[:-1], {**artifact, "name": "x"}], artifact["name"], store=f"{tmp_path}/store") == made["path"]
    )


@pytest.mark.parametrize(
    ("name", "file", "path"),
    [
        ("chat", None, f"{STORE}/models/chat/{COMMIT}"),
        ("chat", "sub/x.gguf", f"{STORE}/models/chat/{COMMIT}/sub/x.gguf"),
        ("file", "sub/x.gguf", f"{model_path(ALL, 'file')}/sub/x.gguf"),
        ("tiny", "a b.gguf", f"{model_path(ALL, 'tiny')}/a b.gguf"),
    ],
)
def test_a_path_is_known_from_the_list(name, file, path):
    assert model_path(ALL, name, file) == path
    assert model_path(ALL, name, file, store="/data") == path.replace(STORE, "/data")


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(json.dumps([{**HUB, "include": ["*.gguf"]}]), id="text"),
        pytest.param([{**HUB, "include": "*.gguf"}], id="one-item-in-the-place-of-a-list"),
        pytest.param([{**HUB, "include": "['*.gguf']", "exclude": None, "files": []}], id="text-inside"),
        pytest.param([{**HUB, "include": ["*.gguf"], "token": "x", "endpoint": "https://h"}], id="other-options"),
    ],
)
def test_what_extra_vars_make_of_the_list_has_the_same_path(written):
    assert model_path(written, "chat") == model_path([{**HUB, "include": ["*.gguf"]}], "chat")


@pytest.mark.parametrize(
    ("artifacts", "name", "file", "words"),
    [
        pytest.param(
            ALL,
            "chatt",
            None,
            "no artifact chatt; those that are present: chat, some, named, file, tiny, set",
            id="unknown",
        ),
        pytest.param([], "chat", None, "no artifact chat; those that are present: none", id="none"),
        pytest.param(ALL, "gone", None, "gone is to be absent; those that are present: chat,", id="absent"),
        pytest.param([HUB, HUB], "chat", None, "chat is listed 2 times", id="twice"),
        pytest.param(
            [{**HUB, "revision": "main"}], "chat", None, "revision 'main', and its folder is named", id="branch"
        ),
        pytest.param(
            [{**HUB, "revision": None}], "chat", None, "revision None, and its folder is named", id="no-revision"
        ),
        pytest.param([{"name": "chat"}], "chat", None, "chat: the source '' is not known", id="no-source"),
        pytest.param([{**ONE, "sha256": "x"}], "tiny", None, "must be 64 hexadecimal digits", id="no-checksum"),
        pytest.param(ALL, "set", "x", "has no file x; it has b/c.bin, a.gguf", id="file-not-in-the-list"),
        pytest.param(ALL, "tiny", "x", "has no file x; it has a b.gguf", id="another-file"),
        pytest.param(ALL, "some", "chat-Q8_0.gguf", "its include and exclude leave it out", id="file-left-out"),
        pytest.param(ALL, "chat", "../../x", "would not stay inside", id="outside"),
        pytest.param(
            [{**HUB, "includes": []}], "chat", None, "no option includes; did you mean include?", id="misspelt"
        ),
        pytest.param("chat", "chat", None, "must be a list", id="no-list"),
    ],
)
def test_what_has_no_path_is_refused_in_one_sentence(artifacts, name, file, words):
    with pytest.raises(AnsibleFilterError) as caught:
        model_path(artifacts, name, file)
    assert words in str(caught.value)


def test_a_store_must_be_absolute():
    with pytest.raises(AnsibleFilterError, match="absolute path, not 'models'"):
        model_path(ALL, "chat", store="models")


# Instances of the role model_server


@pytest.mark.parametrize(
    ("model", "path"),
    [
        pytest.param({"artifact": "chat", "file": "x.gguf"}, model_path(ALL, "chat", "x.gguf"), id="of-a-repository"),
        pytest.param(
            {"artifact": "some", "file": "a-Q4_K_M.gguf"}, model_path(ALL, "some", "a-Q4_K_M.gguf"), id="of-some"
        ),
        pytest.param({"artifact": "tiny"}, model_path(ALL, "tiny", "a b.gguf"), id="one-file"),
        pytest.param({"artifact": "file"}, model_path(ALL, "file", "sub/x.gguf"), id="one-file-of-a-hub"),
        pytest.param({"artifact": "named"}, model_path(ALL, "named", "sub/x.gguf"), id="a-list-of-one"),
        pytest.param({"artifact": "set", "file": "a.gguf"}, model_path(ALL, "set", "a.gguf"), id="one-of-a-list"),
        pytest.param({"path": "/srv/x.gguf"}, "/srv/x.gguf", id="a-path"),
    ],
)
def test_an_instance_names_its_model(model, path):
    found = built(instance(**model))
    assert found.problems == () and served(found) == path
    words, _notices = refused(found.component, FakeReader())
    assert f"wants the model {path}, which is not on the host" in words[0]


def test_an_engine_that_takes_a_directory_has_the_whole_artefact():
    found = built({**instance(artifact="chat"), "engine": "vllm"})
    assert found.component["requires"][0]["path"] == model_path(ALL, "chat", "x.gguf").removesuffix("/x.gguf")
    (problem,) = built({**instance(artifact="chat", file="x.gguf"), "engine": "vllm"}).problems
    assert "has model.file, and its engine takes the whole artifact; leave it out" in problem


def test_the_store_of_an_instance_is_where_it_is_said():
    assert served(built(instance(artifact="tiny"), store="/data")) == model_path(ALL, "tiny", "a b.gguf", "/data")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param({"artifact": "no"}, "no artifact no; those that are present: chat, some, named", id="unknown"),
        pytest.param({"artifact": "gone"}, "gone is to be absent", id="absent"),
        pytest.param({"artifact": "tiny", "path": "/srv/x"}, "has both model.path and model.artifact", id="both"),
        pytest.param({"file": "x", "path": "/srv/x"}, "has model.file without model.artifact", id="file-of-a-path"),
        pytest.param({"file": "x"}, "has model.file without model.artifact", id="file-alone"),
        pytest.param({"artifact": "chat"}, "file is needed: a file of hf://acme/chat", id="which-of-a-repository"),
        pytest.param({"artifact": "set"}, "file is needed: one of b/c.bin, a.gguf", id="which-of-a-list"),
        pytest.param({}, "has no model; set model.path", id="nothing"),
    ],
)
def test_an_instance_whose_model_is_not_known_is_refused_once(model, words):
    problems = built(instance(**model)).problems
    assert len(problems) == 1 and words in problems[0]
    assert problems[0].startswith("Model server instance 'srv' ")


def test_an_instance_that_is_absent_needs_no_artefact():
    assert built({**instance(artifact="no"), "state": "absent"}, artifacts=None).problems == ()


def test_a_hub_is_never_asked(monkeypatch):
    import urllib.request

    def refuse(*_args, **_options):
        raise HostError("asked")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert model_path(ALL, "chat")
