# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._ray import node, paths
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles import templates
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.options import convert
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.ray_cluster import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.ray_cluster.cluster import PORTS
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import specification

TOKEN = "4f1c0ffee5d2a8b96e3d7c1b0a495867"
HASH = f"--hash=sha256:{'0' * 64}"


def environment(*packages, python="python3.12", name="ray"):
    text = "".join(f"{package} {HASH}\n" for package in packages or ("ray==2.60.0",))
    return {"name": name, "state": "present", "python": python, "requirements": text}


def host(address, *environments, head="a", **more):
    known = {
        "runtime": "ray",
        "port": 6379,
        "ports": {},
        "gpus": 0,
        "environments": list(environments) or [environment()],
    }
    return {"address": address, "head": head, **known, **more}


def hosts(**changed):
    found = {"a": host("10.0.0.1"), "b": host("10.0.0.2"), "c": host("10.0.0.3")}
    return {**found, **changed}


def built(here="a", fleet=None, **given):
    fleet = hosts() if fleet is None else fleet
    own = fleet.get(here) or host("")
    given = {
        "state": "present",
        "hosts": list(fleet),
        "head": own["head"] or "",
        "token": TOKEN,
        "address": own["address"],
        **given,
    }
    given = {"port": own["port"], "ports": own["ports"], "environments": own["environments"], **given}
    found = convert(specification("ray_cluster"), {f"ray_cluster_{name}": value for name, value in given.items()})
    assert found.problems == ()
    options = {name.removeprefix("ray_cluster_"): value for name, value in found.values.items()}
    options["runtime_base"] = "/opt/environments"
    return room.build({**options, "fleet": {"here": here, "hosts": fleet}}, Platform())


def made(*args, **given):
    found = built(*args, **given)
    assert found.problems == ()
    return found


def file(found, path):
    return next(item for item in found.component["files"] if item["path"] == path)


def unit(found):
    item = file(found, room.UNIT_FILE)
    return templates.render("ray_cluster", item["template"], item["template_vars"])


def command(found):
    return next(line for line in unit(found).splitlines() if line.startswith("ExecStart=")).split()


def test_a_head_and_its_workers_meet_at_one_address():
    head, worker = command(made("a")), command(made("b"))
    assert {"--head", "--port=6379", "--node-ip-address=10.0.0.1", "--include-dashboard=false"} <= set(head)
    assert {"--address=10.0.0.1:6379", "--node-ip-address=10.0.0.2"} <= set(worker)
    assert not {"--head", "--port=6379"} & set(worker)
    assert "IPAddressAllow=localhost 10.0.0.1 10.0.0.2 10.0.0.3\n" in unit(made("b"))


def test_no_port_is_left_to_chance():
    ports = {name: 7000 + at for at, name in enumerate(PORTS)}
    words = command(made(ports=ports))
    given = {int(word.partition("=")[2]) for word in words if "-port=" in word}
    assert given == {6379, *ports.values()} - {ports["client"]}


def test_the_client_has_a_port_where_there_is_a_client():
    with_client = host("10.0.0.1", environment("ray==2.60.0", "grpcio==1.85.3"))
    others = {name: {**with_client, "address": f"10.0.0.{at}"} for at, name in enumerate(("b", "c"), 2)}
    fleet = {"a": with_client, **others}
    assert "--ray-client-server-port=6386" in command(made("a", fleet))
    assert not [word for word in command(made("b", fleet)) if "client" in word]
    assert not [word for word in command(made("a")) if "client" in word]


def test_the_token_is_in_its_file_and_nowhere_else():
    found = made(token=TOKEN)
    token = file(found, paths.TOKEN)
    assert (token["content"], token["mode"], token["owner"], token["secret"]) == (
        f"{TOKEN}\n",
        "0600",
        paths.USER,
        True,
    )
    rest = [item for item in found.component["files"] if item is not token]
    assert TOKEN not in json.dumps([{**found.component, "files": rest}, found.published, found.verify]) + unit(found)
    for line in ('RAY_AUTH_MODE="token"', f'RAY_AUTH_TOKEN_PATH="{paths.TOKEN}"', 'RAY_USAGE_STATS_ENABLED="0"'):
        assert line in file(found, paths.ENV)["content"].splitlines()


def test_what_the_program_on_the_host_reads_is_what_it_knows():
    config = node.Config(**json.loads(file(made("b", object_store_mib=100), paths.NODE)["content"]))
    assert config == node.Config("10.0.0.2", "10.0.0.1", 6379, 100 * 2**20, 120)
    assert not config.is_head


def test_gpus_are_reached_where_some_are_handed_out():
    assert "PrivateDevices=yes" in unit(made())
    assert "--num-gpus=0" in command(made())
    some = made(gpus=4)
    assert "DeviceAllow=char-nvidia* rw" in unit(some)
    assert "PrivateDevices" not in unit(some)
    assert "--num-gpus=4" in command(some)


def test_only_the_head_counts():
    assert made("a").verify == {"expected": {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}}
    assert made("b").verify is None


def test_what_listens_everywhere_is_published():
    assert [item["port"] for item in made("a").published["open_ports"]] == [6379, 6380, 6381]
    assert [item["port"] for item in made("b").published["open_ports"]] == [6380, 6381]


def test_a_host_that_leaves_is_no_part_of_the_cluster():
    gone = {"address": "10.0.0.3", **dict.fromkeys(room.FLEET)}
    assert made("a", hosts(c=gone)).verify == {"expected": {"a": "10.0.0.1", "b": "10.0.0.2"}}


def test_a_host_of_no_cluster_is_left_alone():
    found = convert(specification("ray_cluster"), {})
    options = {name.removeprefix("ray_cluster_"): value for name, value in found.values.items()}
    assert (room.fleet(options)[0], room.borrows(options)) == ([], {})
    assert room.build(options, Platform()) == Built()


def test_absent_asks_for_nothing():
    options = {"state": "absent", "hosts": ["a"]}
    assert room.fleet(options) == ([], "ray_cluster_address")
    assert room.borrows(options) == {}
    found = room.build({**options, "fleet": {"here": "a", "hosts": {}}}, Platform())
    assert found.component == {"name": "ray_cluster", "state": "absent"}


def test_ports_that_others_have_are_named():
    conditions = {item["port"]: item["msg"] for item in made("b").component["requires"] if item["kind"] == "port"}
    assert sorted(conditions) == [6380, 6381, 6382, 6383, 6384, 6385]
    assert conditions[6380].endswith("choose another ray_cluster_ports.node_manager.")
    assert 6379 in {item.get("port") for item in made("a").component["requires"]}


ALONE = {"a": host("10.0.0.1", head=None), "b": host("10.0.0.2", head=None)}
OTHER_RAY = host("10.0.0.2", environment("ray==2.61.0"))
OTHER_PYTHON = host("10.0.0.2", environment(python="python3.13"))
WRONG = [
    ({"token": ""}, "ray_cluster_token is not set, and without one whoever reaches Ray runs programs; "),
    ({"token": "a" * 31}, "ray_cluster_token has less than 32 characters, or a blank in it; "),
    ({"token": f"{TOKEN} x"}, "ray_cluster_token has less than 32 characters, or a blank in it; "),
    ({"fleet": ALONE}, "ray_cluster_head is not set; name the one host of ray_cluster_hosts that is the head."),
    ({"head": "z"}, "ray_cluster_head z is not in ray_cluster_hosts, which has a, b, c; name one of them."),
    ({"here": "z"}, "z is not in ray_cluster_hosts; add it, or take it out of the play."),
    (
        {"fleet": hosts(b=host("10.0.0.2", head="b"))},
        "ray_cluster_head is not the same for all hosts: a for a, b for b; a cluster has one head.",
    ),
    ({"fleet": hosts(b=host("b"))}, "b has no ray_cluster_address; set it to the address that b has in the cluster's "),
    (
        {"fleet": hosts(b=host("127.0.0.1"))},
        "ray_cluster_address of b is 127.0.0.1, where other hosts do not reach it; ",
    ),
    ({"fleet": hosts(b=host("0.0.0.0"))}, "ray_cluster_address of b is 0.0.0.0, where other hosts do not reach it; "),
    ({"fleet": hosts(b=host("10.0.0.3"))}, "b, c have the same ray_cluster_address 10.0.0.3; give each its own."),
    (
        {"fleet": hosts(b=OTHER_RAY)},
        "Ray refuses hosts with other versions: a has Ray 2.60.0 with Python 3.12, b has Ray 2.61.0 with Python 3.12; "
        "give all the same environment.",
    ),
    ({"fleet": hosts(b=OTHER_PYTHON)}, "a has Ray 2.60.0 with Python 3.12, b has Ray 2.60.0 with Python 3.13; give "),
    ({"fleet": {"a": host("10.0.0.1", environment("ray==2.56.0"))}}, "a would have Ray 2.56.0; give it 2.60 or newer."),
    (
        {"fleet": {"a": host("10.0.0.1", environment("demo==1.0"))}},
        "ray_cluster_runtime of a cannot be used: the environment ray has no ray among its requirements.",
    ),
    (
        {"fleet": {"a": host("10.0.0.1", environment(name="other"))}},
        "ray_cluster_runtime of a cannot be used: there is no environment ray in model_runtime_environments, which has "
        "other.",
    ),
    (
        {"ports": {"agent": 6380}},
        "ray_cluster_ports.node_manager and ray_cluster_ports.agent are both 6380; give each its own port.",
    ),
    ({"ports": {"agent": 10500}}, "ray_cluster_ports.agent is 10500, which is among the ports of workers; "),
    ({"ports": {"agent": 0}}, "ray_cluster_ports.agent is 0; set it to a port from 1 to 65535."),
    ({"ports": {"worker_last": 9000}}, "ray_cluster_ports has workers from 10002 to 9000; set worker_first and "),
    (
        {"fleet": hosts(b=host("10.0.0.2", port=6378))},
        "ray_cluster_port is 6378 for b and 6379 for a; set the same for all hosts.",
    ),
    ({"object_store_mib": 74}, "ray_cluster_object_store_mib is 74; set it to 75 or more."),
    ({"gpus": -1}, "ray_cluster_gpus is -1; set it to 0 or more."),
    (
        {"allowed_networks": ["10.0.0.0/33"]},
        "ray_cluster_allowed_networks has 10.0.0.0/33; give addresses or networks ",
    ),
    (
        {"environment": {"RAY_AUTH_TOKEN": "x"}},
        "ray_cluster_environment has RAY_AUTH_TOKEN, which the role sets; leave ",
    ),
    ({"environment": {"a b": "x"}}, "ray_cluster_environment has 'a b', which is no name of a variable."),
]


@pytest.mark.parametrize(("given", "says"), WRONG, ids=[says[:50] for _given, says in WRONG])
def test_what_is_invalid_is_one_sentence(given, says):
    (problem,) = built(**given).problems
    assert says in problem


def test_loopback_is_fine_for_one_host():
    assert made("a", {"a": host("127.0.0.1")}).component["units"] == [{"name": paths.UNIT}]
