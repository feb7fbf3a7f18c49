"""Run a task on each node of the cluster, and print what it says of its node, sorted."""

import sys

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@ray.remote(num_cpus=1)
def address():
    return ray.util.get_node_ip_address()


ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
asked = [
    address.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote() for node in nodes
]
print("\n".join(sorted(ray.get(asked, timeout=120))))
