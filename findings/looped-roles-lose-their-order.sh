#!/usr/bin/env bash
# ansible-core 2.19.14: include_role in a loop over a list that is each host's own runs the roles of a host in the order of another
# host. Includes that hosts have in common are merged, in the order of the host that was first; what a later host has besides comes
# after all of them, also what it has between them. Here the driver comes after the server that needs it.
set -euo pipefail
version=2.19.14
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check "ansible-core==$version" 2>/dev/null

for role in runtime driver server; do
    mkdir -p "roles/$role/tasks"
    echo "- ansible.builtin.debug: {msg: '{{ inventory_hostname }} $role'}" >"roles/$role/tasks/main.yml"
done
cat >hosts.yml <<'YAML'
all:
  vars: {ansible_connection: local}
  hosts:
    cpu: {desired: [runtime, server]}
    gpu: {desired: [runtime, driver, server]}
YAML
cat >site.yml <<'YAML'
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: "{{ item }}"}
      loop: "{{ desired }}"
YAML
# One after the other: which host is first is no chance.
ran() { ANSIBLE_NOCOLOR=1 ANSIBLE_FORKS=1 venv/bin/ansible-playbook -i hosts.yml site.yml "$@" 2>/dev/null | sed -n 's/.*"msg": "gpu \(.*\)"/\1/p' | xargs; }
echo "ansible-core $version; the host gpu has the list: runtime driver server"
alone=$(ran --limit=gpu) both=$(ran)
echo "-- by itself it runs: $alone"
echo "-- with the host cpu before it: $both"
[ "$alone" = "runtime driver server" ] || { echo "changed: by itself it does not run its own list"; exit 1; }
[ "$both" = "runtime server driver" ] || { echo "changed: with another host it runs $both"; exit 1; }
echo "as described"
