# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import hashlib
import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gateway import paths
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles import templates
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_gateway import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.options import convert
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import specification
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

KEY = "sk-alice-6b0f4c1d2e3a4957"
ALICE = {"name": "alice", "key": KEY}


def pem(days=30):
    """A certificate that ends in so many days, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gate")])
    begins, ends = now - datetime.timedelta(9), now + datetime.timedelta(days)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends).sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return (
        made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *form)
    ).decode()


PEM = pem()


def debian(release="trixie"):
    facts = {"distribution": "Debian", "distribution_release": release, "os_family": "Debian"}
    return platform("model_gateway", facts)


def host(*instances, address="10.0.0.1", artifacts=()):
    return {"address": address, "instances": list(instances), "artifacts": list(artifacts)}


def chat(**more):
    return {"name": "chat", "host": "0.0.0.0", "port": 8001, "model": {"path": "/srv/m.gguf"}, **more}


def built(hosts=None, on=None, **given):
    given = {"hosts": [], "keys": [ALICE], **given}
    found = convert(specification("model_gateway"), {f"model_gateway_{name}": value for name, value in given.items()})
    assert found.problems == ()
    options = {name.removeprefix("model_gateway_"): value for name, value in found.values.items()}
    options["fleet"] = {"here": "gate", "hosts": {"gpu1": host(chat())} if hosts is None else hosts}
    return room.build(options, on or debian())


def made(*args, **given):
    found = built(*args, **given)
    assert found.problems == ()
    return found


def file(found, path):
    return next(item for item in found.component["files"] if item["path"] == path)


def configuration(found):
    item = file(found, paths.HAPROXY_CFG)
    return templates.render("model_gateway", item["template"], item["template_vars"])


def section(text, name):
    lines = text.split(f"\n{name}\n", 1)[1].splitlines()
    end = next((at for at, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))
    return [line.strip() for line in lines[:end] if line.strip()]


def test_instances_of_a_name_on_several_hosts_are_one_model():
    hosts = {
        "gpu1": host(chat(served_name="org/chat")),
        "gpu2": host(chat(served_name="org/chat", host="10.9.9.2", port=8009), address="10.0.0.2"),
        "gpu3": host(chat(state="absent")),
    }
    found = made(hosts)
    assert found.published["models"] == {"org/chat": ["gpu1:chat", "gpu2:chat"]}
    (name,) = {line.split()[1] for line in file(found, room.MODELS_MAP)["content"].splitlines()}
    lines = section(configuration(found), f"backend {name}")
    assert [line for line in lines if line.startswith("server ")] == [
        "server gpu1:chat 10.0.0.1:8001",
        "server gpu2:chat 10.9.9.2:8009",
    ]
    assert json.loads(file(found, room.MODELS_JSON)["content"])["data"][0]["id"] == "org/chat"


def test_models_whose_names_differ_only_in_signs_have_backends_of_their_own():
    hosts = {"gpu1": host(chat(served_name="a/b"), chat(name="two", port=8002, served_name="a_b"))}
    names = [line.split()[1] for line in file(made(hosts), room.MODELS_MAP)["content"].splitlines()]
    assert len(set(names)) == 2


def test_a_server_on_loopback_is_reached_from_its_own_host_only():
    instance = chat(host="127.0.0.1")
    found = made({"gate": host(instance, address="10.0.0.9")})
    assert "server gate:chat 127.0.0.1:8001" in configuration(found)
    (problem,) = built({"gpu1": host(instance)}).problems
    assert "listens on 127.0.0.1, which this gateway does not reach" in problem


@pytest.mark.parametrize(
    ("one", "two", "says"),
    [
        (
            chat(),
            chat(model={"path": "/srv/other.gguf"}),
            "gpu1:chat has path /srv/m.gguf; gpu2:chat has path /srv/other",
        ),
        (chat(api_key="a" * 20), chat(), "different API keys"),
        (chat(), chat(engine="tei"), "different kinds"),
        (chat(), chat(api_key_file="/etc/key"), "gpu2 has its key in a file"),
    ],
)
def test_servers_of_one_name_that_are_no_copies_are_refused(one, two, says):
    assert any(says in problem for problem in built({"gpu1": host(one), "gpu2": host(two)}).problems)


def test_revisions_are_those_of_the_store():
    artifact = {"name": "m", "source": "hf://org/m"}
    instance = chat(model={"artifact": "m"})
    hosts = {name: host(instance, artifacts=[{**artifact, "revision": name}]) for name in ("gpu1", "gpu2")}
    (problem,) = built(hosts).problems
    assert "gpu1:chat has hf://org/m at gpu1; gpu2:chat has hf://org/m at gpu2" in problem


def test_no_key_is_in_what_a_host_gets_but_in_the_secret_file():
    found = made({"gpu1": host(chat(api_key="sk-'up\\st$ream\""))}, tls={"pem": PEM})
    open_files = [item for item in found.component["files"] if not item.get("secret")]
    assert {item["path"] for item in found.component["files"] if item.get("secret")} == {
        room.UPSTREAM_MAP,
        paths.TLS_PEM,
    }
    told = json.dumps([open_files, found.component["ready"], found.published, found.verify])
    assert KEY not in told and "ream" not in told.replace("stream", "").replace("upstream", "")
    assert file(found, paths.KEYS_MAP)["content"] == f"{hashlib.sha256(KEY.encode()).hexdigest()} alice\n"
    assert file(found, room.UPSTREAM_MAP)["content"] == "model.chat sk-'up\\st$ream\"\n"


def test_a_key_by_its_hash_is_the_same_key():
    by_hash = {"name": "alice", "sha256": hashlib.sha256(KEY.encode()).hexdigest().upper()}
    assert file(made(keys=[by_hash]), paths.KEYS_MAP) == file(made(), paths.KEYS_MAP)


def test_a_key_that_is_absent_is_not_there():
    found = made(keys=[ALICE, {"name": "bob", "key": KEY + "b", "state": "absent"}])
    assert file(found, paths.KEYS_MAP)["content"].endswith(" alice\n")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"keys": []}, "every request would be refused"),
        ({"keys": [{"name": "a", "key": "short"}]}, "could be guessed"),
        ({"keys": [{"name": "a b", "key": KEY}]}, "cannot be its name"),
        ({"keys": [{"name": "a"}]}, "either key or sha256"),
        ({"keys": [{"name": "a", "sha256": "abc"}]}, "64 hexadecimal digits"),
        ({"keys": [ALICE, {**ALICE, "name": "b"}]}, "one key twice, see alice, b"),
        ({"keys": [ALICE, {**ALICE, "key": KEY + "b"}]}, "one name twice, see alice"),
        ({"address": "0.0.0.0"}, "without TLS"),
        ({"address": "gate.example"}, "is no address"),
        ({"tls": {"pem": PEM, "pem_file": "/etc/x.pem"}}, "either pem or pem_file"),
        ({"tls": {"pem": PEM.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE")}}, "unencrypted private key"),
        ({"tls": {"pem": pem(days=-1)}}, "Pem of model_gateway_tls: certificate 1 has expired"),
        ({"tls": {"pem": PEM.replace("BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE-----\nAA==")}}, "cannot be read"),
        ({"paths": ["/v1/comple tions"]}, "/v1/comple tions; give whole paths"),
        ({"max_body_kib": 1}, "max_body_kib is 1; set it to 16 or more"),
        ({"metrics_port": 8443}, "both 8443"),
        ({"models": [{"name": "ghost"}]}, "ghost, which no host of model_gateway_hosts serves"),
        (
            {"models": [{"name": "a b", "servers": [{"name": "x", "address": "y", "port": 1}]}]},
            "cannot be routed",
        ),
    ],
)
def test_what_is_wrong_is_said_before_a_host_is_asked(given, says):
    assert any(says in problem for problem in built(**given).problems), built(**given).problems


def test_without_a_model_there_is_nothing_to_serve():
    assert any("The gateway has no model" in problem for problem in built({}).problems)


def test_other_platforms_are_refused_by_name():
    (problem,) = built(
        on=platform("model_gateway", {"distribution": "Debian", "distribution_release": "bullseye"})
    ).problems
    assert "Debian bullseye" in problem


def test_the_health_check_runs_the_model():
    hosts = {"gpu1": host(chat(), chat(name="vectors", port=8002, engine="tei", model={"path": "/srv/e"}))}
    text = configuration(made(hosts))
    completion, embedding = (section(text, f"backend model.{name}") for name in ("chat", "vectors"))
    assert any('"max_tokens": 1' in line and "/v1/completions" in line for line in completion)
    assert any("/v1/embeddings" in line for line in embedding)
    assert any("expect rstring" in line and "embedding" in line for line in embedding)


def test_tensors_are_routed_by_path_and_texts_are_not():
    hosts = {"gpu1": host(chat(), chat(name="net", port=8002, engine="triton", model={"path": "/srv/r"}))}
    lines = section(configuration(made(hosts)), "frontend clients")
    assert "acl of_tensors var(txn.backend) -m str model.net" in lines
    assert not any("by_path" in line for line in section(configuration(made()), "frontend clients"))


def test_every_rule_that_routes_comes_after_the_key_was_checked():
    lines = section(configuration(made()), "frontend clients")
    refused = next(at for at, line in enumerate(lines) if "status 401" in line)
    assert lines[refused].endswith("unless known")
    assert not [line for line in lines[:refused] if line.startswith("use_backend") or "wait-for-body" in line]


def test_what_runs_and_is_not_on_disk_differs():
    (check,) = made().checks
    assert check.drift({"running": True, "matches_disk": True, "workers": []}) == []
    assert check.drift({"running": False, "matches_disk": False, "workers": []}) == []
    differs = {"running": True, "matches_disk": False, "reasons": ["keys.map was changed"], "workers": []}
    (row,) = check.drift(differs)
    assert row["have"] == "keys.map was changed"


def test_an_old_worker_that_has_not_ended_differs():
    (check,) = made().checks
    workers = [{"pid": 7, "open": 4, "overdue": False}, {"pid": 5, "open": 2, "overdue": True}]
    (row,) = check.drift({"running": True, "matches_disk": True, "workers": workers})
    assert (row["attribute"], row["want"], row["have"]) == ("old worker 5", "ended", "there, with 2 connections")


def test_what_is_no_difference_is_told():
    (check,) = made().checks
    workers = [
        {"pid": 7, "serving": True, "uptime_s": 9, "open": 4, "overdue": False},
        {"pid": 5, "serving": False, "uptime_s": 99, "open": 2, "overdue": False},
        {"pid": 3, "serving": False, "uptime_s": 999, "open": 1, "overdue": True},
    ]
    said = check.notices({"workers": workers, "problems": ["gpu9 does not resolve here"]})
    assert said == [
        "Worker 5 of the gateway is left from before a reload, 99 s old, and has 2 connections; it ends with them.",
        "The gateway: gpu9 does not resolve here.",
    ]


def test_a_server_has_as_many_requests_as_its_instance_takes():
    hosts = {"gpu1": host(chat(parallel=4)), "gpu2": host(chat(), address="10.0.0.2")}

    def bounds(**given):
        lines = section(configuration(made(hosts, **given)), "backend model.chat")
        return [line.partition(" maxconn ")[2] for line in lines if line.startswith("server ")]

    assert bounds() == ["4", ""]
    assert bounds(models=[{"name": "chat", "max_open_per_server": 9}]) == ["9", "9"]
    assert bounds(models=[{"name": "chat", "max_open_per_server": 0}]) == ["", ""]


@pytest.mark.parametrize(
    ("resend", "alone", "of_two"), [(None, False, True), ("always", True, True), ("never", False, False)]
)
def test_requests_are_sent_again_where_another_server_can_have_them(resend, alone, of_two):
    hosts = {
        "gpu1": host(chat(), chat(name="pair", port=8002)),
        "gpu2": host(chat(name="pair", port=8002), address="10.0.0.2"),
    }
    text = configuration(made(hosts, **({"resend": resend} if resend else {})))

    def after_it_was_sent(name):
        return [line for line in section(text, name) if line.startswith("retry-on")]

    # What could not be connected is no question of it.
    assert after_it_was_sent("defaults") == ["retry-on conn-failure"]
    again = ["retry-on conn-failure empty-response 503"]
    assert after_it_was_sent("backend model.chat") == (again if alone else [])
    assert after_it_was_sent("backend model.pair") == (again if of_two else [])


def test_a_request_by_path_is_whole_before_it_is_sent_on_so_that_it_can_be_sent_again():
    hosts = {"gpu1": host(chat(), chat(name="net", port=8002, engine="triton", model={"path": "/srv/r"}))}
    lines = section(configuration(made(hosts)), "frontend clients")
    assert "http-request wait-for-body time 30s if by_path" in lines


def test_a_limit_below_zero_is_refused():
    assert built({"gpu1": host(chat(parallel=-1))}).problems == (
        "Instance 'chat' of gpu1 has parallel -1; set it to 1 or more, or leave it out, and the gateway sends all "
        "requests on.",
    )
    assert built(models=[{"name": "chat", "max_open_per_server": -1}]).problems == (
        "max_open_per_server of chat in model_gateway_models is -1; set it to 1 or more, or to 0 for no limit.",
    )


@pytest.mark.parametrize(
    ("release", "access_log", "reads"), [("bookworm", True, False), ("trixie", True, True), ("trixie", False, False)]
)
def test_tokens_of_streams_are_read_for_the_log_where_haproxy_can(release, access_log, reads):
    found = made(on=debian(release), access_log=access_log)
    assert ("filter lua.tokens" in configuration(found)) is reads
    assert (f"lua-load-per-thread {paths.TOKENS_LUA}" in configuration(found)) is reads
    assert any(item["path"] == paths.TOKENS_LUA for item in found.component["files"]) is reads


def test_names_of_servers_must_be_known_on_the_host():
    hosts = {"gpu1": host(chat()), "gpu2": host(chat(), address="gpu2.example.com")}
    names = [item for item in made(hosts).component["requires"] if item["kind"] == "name"]
    assert [item["name"] for item in names] == ["gpu2.example.com"]


def test_only_a_port_below_1024_takes_a_capability():
    unit = next(item for item in made(port=443).component["files"] if item["path"] == room.UNIT_FILE)
    assert unit["template_vars"]["__model_gateway"]["privileged"] is True
    unit = next(item for item in made().component["files"] if item["path"] == room.UNIT_FILE)
    assert unit["template_vars"]["__model_gateway"]["privileged"] is False
