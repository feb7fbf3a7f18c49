#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: component
short_description: Change everything that one component needs on a host as one transaction
description:
  - Compares repositories, packages, users, directories, files, links and units of one component with the host in one
    round trip, and changes only what differs.
  - New files are staged next to their place, validated by the program that will read them, and swapped in together. If
    the component does not become ready afterwards, the earlier files come back and its units run again as before.
  - A run that was killed is undone by the next one, or finished when it had already been committed.
  - What a component no longer asks for is taken away again. A ledger under C(/var/lib/mlops.hosts) knows what it owns
    and what was there before.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  name:
    description: Name of the component on the host. Letters, digits, C(_), C(-) and C(.).
    type: str
    required: true
  state:
    description:
      - V(present) makes the host match the options.
      - V(absent) takes away all that the component owns and gives back what was there before it.
    type: str
    choices: [present, absent]
    default: present
  repositories:
    description:
      - Package repositories, each with its signing key. Written before packages are installed.
      - Components that want the same repository share it, and it goes with the last of them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the repository; also the name of its files.
        type: str
        required: true
      uris:
        description: Addresses. For dnf, base URLs of the same repository; with several, the others are mirrors.
        type: list
        elements: str
        required: true
      suites:
        description: Suites, apt only. A suite that ends in C(/) is a flat repository.
        type: list
        elements: str
        default: []
      components:
        description: Components, apt only.
        type: list
        elements: str
        default: []
      architectures:
        description: Architectures, apt only. Empty means those of the host.
        type: list
        elements: str
        default: []
      key:
        description: The signing key, ASCII-armoured text. O(repositories[].key_src) is usually better.
        type: str
      key_src:
        description: Name of the file that holds the signing key, looked up in the C(files) folder of the role.
        type: str
      fingerprint:
        description: Fingerprint that the key must have, 40 or 64 hexadecimal digits; blanks are ignored.
        type: str
        required: true
      gpg_check:
        description:
          - What is checked with the key, dnf only. V(metadata) is for repositories that sign no packages, but the
            metadata with their checksums. For apt it is always the metadata.
        type: str
        choices: [packages, metadata]
        default: packages
  packages:
    description: Packages of the distribution's package manager. It starts no service while it installs.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the package.
        type: str
        required: true
      state:
        description: Whether the package is installed.
        type: str
        choices: [present, absent]
        default: present
      version:
        description:
          - Version or version pattern with C(*). An installed version that matches is left alone.
          - Without it any installed version is right.
          - The epoch may be left out, and for dnf the release, too. A wildcard needs a full stop or an epoch before it
            there, such as V(12.*), because dnf takes V(12*) for a part of package names first.
        type: str
      hold:
        description:
          - Lock the package with C(apt-mark hold) or C(dnf versionlock).
          - For dnf4 this needs the package C(python3-dnf-plugin-versionlock), which may be among O(packages).
        type: bool
        default: false
      on_change:
        description: What the units of the component need when this package is installed or changes its version.
        type: str
        choices: [restart, none, reboot]
        default: restart
      before_packages:
        description: Install it before the other packages, which it has a say in, as a package of version pins has.
        type: bool
        default: false
      owned:
        description:
          - Whether the package belongs to the component. With V(false) it has to be as the other options say, and stays
            when the component goes.
          - For packages that are there for another reason, and only have to go along.
        type: bool
        default: true
  users:
    description: System users. A user that existed before is left when the component goes.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the user and of its primary group.
        type: str
        required: true
      home:
        description: Home directory. It is not created.
        type: str
        default: /nonexistent
      shell:
        description: Login shell.
        type: str
        default: /usr/sbin/nologin
      groups:
        description: Groups that the user must be in too. Other memberships are left alone. A missing group is an error.
        type: list
        elements: str
        default: []
  directories:
    description: Directories, parents first. One that existed before, or is not empty, stays when the component goes.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: str
        required: true
      owner:
        description: Owner.
        type: str
        default: root
      group:
        description: Group.
        type: str
        default: root
      mode:
        description: Permission bits as octal digits.
        type: str
        default: "0755"
      purge:
        description:
          - Take away the files, links and empty directories in it, at any depth, that no component owns. For
            directories that hold this component's configuration and nothing else.
          - What was there before the component comes back when the component goes.
        type: bool
        default: false
      on_change:
        description: What the units in O(directories[].units) need when O(directories[].purge) takes something away.
        type: str
        choices: [restart, reload, none, reboot]
        default: restart
      units:
        description: Units that read this directory. Without it, all units of the component.
        type: list
        elements: str
  files:
    description:
      - Files. Exactly one of O(files[].content), O(files[].template), O(files[].src) and O(files[].json_keys) is given.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: str
        required: true
      content:
        description:
          - The content, as text. Data needs a filter, such as P(ansible.builtin.to_json#filter).
          - With ansible-core 2.18, an expression whose text looks like a list or a dictionary is data, unless it ends
            with the filter C(string).
        type: str
      template:
        description: Name of a template in the C(templates) folder of the role, rendered on the controller.
        type: str
      template_vars:
        description: Variables for O(files[].template), besides those of the task.
        type: dict
        default: {}
      src:
        description: Name of a text file, looked up in the C(files) folder of the role and copied as it is.
        type: str
      json_keys:
        description:
          - Keys that this component owns in a JSON file which others use too. Dictionaries are merged, so that a
            dictionary with one key owns just this key of it.
          - Everything else in the file keeps its bytes. When a key is no longer asked for, its earlier value comes
            back.
        type: dict
      json_only:
        description:
          - Objects whose members are strings that belong to something else, such as options of the log driver. Of each,
            the members that it may have besides those of O(files[].json_keys).
          - Other members are taken away, and come back with the rest. An earlier value that is no string comes back as
            one, with a warning.
        type: dict
        default: {}
      reload_keys:
        description:
          - Top-level keys of O(files[].json_keys) that the program reads again when it is reloaded. A change of these
            alone reloads the units, whatever O(files[].on_change) says.
        type: list
        elements: str
        default: []
      owner:
        description: Owner.
        type: str
        default: root
      group:
        description: Group.
        type: str
        default: root
      mode:
        description: Permission bits as octal digits.
        type: str
        default: "0644"
      validate:
        description:
          - Command that must accept the new file before it is put in place. C({staged}) is replaced by its path.
          - In check mode it is reported as C(after install) when the program is not there yet.
        type: list
        elements: str
        default: []
      validate_as:
        description:
          - File name that the staged copy must have for the validator, for one that reads only certain names.
        type: str
      validate_with:
        description:
          - Paths of other files of the component that this one names, such as certificates in the configuration of a
            service, for a validator that opens them.
          - The validator gets a copy of this file in which these paths lead to the new contents. It is asked again when
            only one of them changes.
        type: list
        elements: str
        default: []
      apply_command:
        description: Command that makes the running system read the file, such as V([udevadm, control, --reload]).
        type: list
        elements: str
        default: []
      on_change:
        description: What the units in O(files[].units) need when this file changes.
        type: str
        choices: [restart, reload, none, reboot]
        default: restart
      units:
        description: Units that read this file. Without it, all units of the component.
        type: list
        elements: str
      secret:
        description: Keep the content out of diff, drift and logs.
        type: bool
        default: false
      before_packages:
        description:
          - Put it in place before packages are installed, for the package manager to read, such as C(apt) preferences.
          - It takes O(files[].on_change=none).
        type: bool
        default: false
  links:
    description: Symbolic links.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of the link.
        type: str
        required: true
      target:
        description: What it points to.
        type: str
        required: true
      on_change:
        description: What the units in O(links[].units) need when this link changes.
        type: str
        choices: [restart, reload, none, reboot]
        default: restart
      units:
        description: Units that depend on this link. Without it, all units of the component.
        type: list
        elements: str
  absent_paths:
    description: Files and links that must not exist. What was there comes back when the component goes.
    type: list
    elements: str
    default: []
  images:
    description:
      - Container images. Those that the engine does not have are pulled when the host is known to be as required, and
        before the first change. They stay when the component goes, and when it is taken back.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The image by its digest, as C(registry/name@sha256:...).
        type: str
        required: true
      engine:
        description: What has it.
        type: str
        choices: [docker, podman]
        required: true
      mirror:
        description: Address of the mirror of a bundle that has it, as M(mlops.hosts.container_image) takes it.
        type: str
      needs_driver:
        description:
          - Whether its programs run on GPUs of NVIDIA. Then a change is refused where the driver that is loaded does
            not run the CUDA release of the image, as its variables C(CUDA_VERSION) and C(NVIDIA_REQUIRE_CUDA) name it.
            In check mode that is a warning, since an earlier task may bring another driver, and nothing is said of an
            image that is still to be pulled.
        type: bool
        default: false
        version_added: 0.1.0
  units:
    description: systemd units.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Full name, such as V(docker.service).
        type: str
        required: true
      state:
        description: Whether it runs. With V(unmanaged) only O(units[].enabled) counts.
        type: str
        choices: [started, stopped, unmanaged]
        default: started
      enabled:
        description:
          - Whether it starts at boot. When the component writes the unit's file, the links to it in
            C(/etc/systemd/system) become those that section C([Install]) of the file asks for, also when the unit is
            enabled already. Links that a component has in O(links) stay.
        type: bool
        default: true
      drop_ins:
        description:
          - What to do about drop-ins of this unit in C(/etc/systemd) and C(/run/systemd), as C(systemctl edit) makes
            them, that came after the component and that no component owns.
          - With V(remove) they are drift. Those of packages, and those that were there before the component, are left
            alone in any case.
        type: str
        choices: [remove, keep]
        default: remove
  requires:
    description:
      - Conditions on the host. They are checked when something differs, before anything is changed, and not with
        O(state=absent).
      - All that do not hold are told at once. Those with the same O(requires[].msg) are told in one sentence.
      - In check mode a path or a mount point that is missing is a warning, since an earlier task of the same run may
        bring it.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description:
          - V(port) is free, or held by one of O(requires[].units) or by a unit that the change stops.
          - V(path) is there, and as O(requires[].type), O(requires[].max_mode) and O(requires[].executable) say. Links
            are followed.
          - V(mount) is a mount point.
          - V(empty) is not there, or a directory without entries.
          - V(name) is a name of a host that this host resolves.
          - V(disk) is a path on a file system of O(requires[].min_bytes) or more, used or not. It need not be there.
          - V(textfile) is a directory from which one node_exporter reads files, if one runs. What is called
            O(requires[].name) in it is not there or a link, since a file would be that of somebody else.
        type: str
        choices: [port, path, mount, empty, name, disk, textfile]
        required: true
      msg:
        description:
          - Sentence for when it does not hold. In it C({what}) becomes the path, the name, or the port with the unit
            that holds it, and C({found}) what there is instead.
          - Of a port that is its process, with pid and unit. Of a path it is C(not there), C(a file), C(a directory),
            C(neither a file nor a directory), or its mode and owner.
        type: str
        required: true
      msg_for:
        description:
          - Sentences in the place of O(requires[].msg), by the reason. Of a path, these are C(absent), C(type),
            C(max_mode) and C(executable). Of a port, it is the unit that holds it. Of a textfile, these are C(several),
            when several node_exporters run, C(denied), when its user cannot list the directory, and C(written).
        type: dict
        default: {}
      otherwise:
        description:
          - What to do when it does not hold. With V(fail) the task fails.
          - With V(wait) nothing is changed, and RV(pending) says what the component waits for.
        type: str
        choices: [fail, wait]
        default: fail
      ends_with:
        description: What ends the wait, for RV(pending). Required with O(requires[].otherwise=wait).
        type: str
      port:
        description: TCP port.
        type: int
      address:
        description: Address to listen on, or V(localhost). Without it, all of them.
        type: str
      units:
        description: Units that may hold the port, with their type, such as V(chat.service).
        type: list
        elements: str
        default: []
      path:
        description: Absolute path, for all kinds but V(port) and V(name).
        type: str
      type:
        description: What must be at the path.
        type: str
        choices: [file, directory]
      max_mode:
        description: Permission bits that the path may have, as octal digits in quotes.
        type: str
      executable:
        description: Whether the path must be executable, for owner, group or others.
        type: bool
        default: false
      name:
        description: Name of a host, for V(name); of a file, for V(textfile).
        type: str
      min_bytes:
        description: Size of the file system, for V(disk).
        type: int
        version_added: 0.1.0
  ready:
    description:
      - What must hold after a change, before it is final. At most one of C(tcp), C(http), C(command) and C(inference)
        is given; with none of them the unit alone is asked for.
      - Nothing is asked on a host that is already right, but for C(models_file).
    type: list
    elements: dict
    default: []
    suboptions:
      unit:
        description:
          - Unit that must be active. The condition is only checked when this unit was started, restarted or reloaded.
          - Without it, the condition is checked after every change, and all units of the component must be active.
        type: str
      tcp:
        description: V(HOST:PORT) that must accept a connection.
        type: str
      http:
        description: URL that must answer with status 200 to 299.
        type: str
      command:
        description:
          - Command that must end with 0. Lines that it then has written to standard error are warnings where they begin
            with C(warning:).
        type: list
        elements: str
      inference:
        description: A model server that must answer a request.
        type: dict
        suboptions:
          url:
            description: Address of the server up to, and not with, C(/v1), such as V(http://127.0.0.1:8001).
            type: str
            required: true
          kind:
            description: At least one token of text, a vector of finite numbers that are not all zero, or outputs as
              the model states them, over version 2 of the KServe protocol.
            type: str
            choices: [completion, embedding, tensor]
            default: completion
          model:
            description: Model name to send. Without it, the first one that the server lists.
            type: str
          prompt:
            description: What to ask.
            type: str
            default: Hello
          max_tokens:
            description: How many tokens to ask for.
            type: int
            default: 8
          api_key_file:
            description: File on the host that holds the API key. The first of its lines that can be a key is sent as
              bearer token. A file without one is refused before anything changes.
            type: str
          expect:
            description: Text that the answer must contain.
            type: str
          expectation:
            description:
              - JMESPath expression over what the module M(mlops.hosts.model_probe) returns of an answer, such as
                V(ttft_s < `2` && contains(text, 'Paris')). A server whose answer gives it a value that is false, null,
                zero or empty six times in a row is not ready.
              - It is parsed on the controller, which needs the Python library C(jmespath) for it, and evaluated on the
                host. There are names, indexes, C([*]), C([]), C([?...]), C(|), comparisons, C(&&), C(||) and C(!)
                there, and the functions C(abs), C(contains), C(ends_with), C(length), C(max), C(min), C(starts_with)
                and C(sum). Other expressions are refused.
            type: raw
          models_file:
            description:
              - File in which O(ready[].unit) has noted the models that it has given to a server that takes them in
                when it runs, such as Ollama. A line for each has its name, a blank, and the first 12 digits of its
                digest.
              - What the server lists by C(/api/tags) must be the same when a change ends. When it is not so later, the
                unit differs, and is restarted.
            type: path
          max_ttft_s:
            description:
              - Seconds that the first token of a completion may take. A server that is slower six times in a row does
                not answer.
            type: float
          min_tokens_per_s:
            description:
              - Tokens per second that a completion must have after its first token. It counts like
                O(ready[].inference.max_ttft_s).
            type: float
          closed_paths:
            description:
              - Paths that can run the model. With an API key, the same is asked there without one and with a wrong one,
                and the server is not ready unless it refuses with status 401 or 403.
              - Without this option it is the path that answered. With an empty list nothing is asked.
            type: list
            elements: str
          inputs:
            description:
              - Inputs of the model for V(tensor). What is not named is sent as zeros, of the shape that the model
                states, in which a size that is open is 1.
            type: list
            elements: dict
            default: []
            suboptions:
              name:
                description: Name of the input.
                type: str
                required: true
              data:
                description: Its elements, in the order of its rows. Without them, zeros.
                type: list
                elements: raw
              shape:
                description: Its shape, instead of the one that the model states.
                type: list
                elements: int
      timeout_s:
        description: How long to wait, in seconds.
        type: int
        default: 60
  settle_s:
    description: How many seconds a started unit must keep running after it is ready, to catch one that dies at once.
    type: int
    default: 5
  lock_timeout_s:
    description: How long to wait for another run on the same host, or for the package manager's lock, in seconds.
    type: int
    default: 120
  _call:
    description: Filled in by the action plugin. Not for use.
    type: dict
    suboptions:
      run:
        description: Name of this run, the same in all its calls.
        type: str
        required: true
      controller:
        description: Name of the controller.
        type: str
        required: true
      work_error:
        description: What the package manager said when it failed.
        type: str
      earlier:
        description: Repositories that earlier tasks would have written, in check mode.
        type: list
        elements: str
        default: []
  _secrets:
    description: Filled in by the action plugin with the contents of secret files, by path. Not for use.
    type: dict
    default: {}
attributes:
  check_mode:
    description:
      - Check mode reports the plan, and refuses what a real run would refuse, by the same programs, as far as they are
        installed. Packages are looked up in the lists that the host has; what only a repository that is not written yet
        can tell, and what older lists do not have, is a warning.
      - A validator that is not installed yet is reported as C(after install).
    support: full
  diff_mode:
    description:
      - The diff is the plan, in its order, packages with their versions and what comes along with them, users,
        directories, files, links, units, restarts and what else is done. It is the same in check mode and when it is
        carried out.
      - Files marked O(files[].secret) are shown without their content.
    support: full
  platform:
    description: Linux with systemd, and apt or dnf when packages are asked for.
    platforms: linux
    support: full
notes:
  - Packages are installed by M(ansible.builtin.apt), M(ansible.builtin.dnf) or M(ansible.builtin.dnf5), called by the
    action plugin of the same name. Without the action plugin this module does nothing useful.
  - Packages that came as dependencies stay when the component goes. So does the key that dnf gave to rpm when it
    installed the first package of a repository.
  - C(os-release) decides between apt and dnf, so that a Debian with dnf installed is still a Debian; where
    C(/usr/bin/dnf) leads to decides between dnf4 and dnf5.
"""

EXAMPLES = r"""
- name: Container runtime with keys of its own in a shared file
  mlops.hosts.component:
    name: docker
    packages:
      - name: docker.io
        version: "26.1.*"
    files:
      - path: /etc/docker/daemon.json
        json_keys: {live-restore: true, log-driver: journald}
        reload_keys: [live-restore]
        validate: [dockerd, --validate, --config-file, "{staged}"]
    units:
      - name: docker.service
    ready:
      - command: [docker, info]

- name: A model server that is up when it has answered
  mlops.hosts.component:
    name: chat
    files:
      - path: /etc/systemd/system/chat.service
        template: chat.service.j2
    units:
      - name: chat.service
    requires:
      - kind: path
        path: /srv/models/chat.gguf
        type: file
        msg: "The model {what} is {found}; copy it there first."
      - kind: port
        port: 8001
        address: 127.0.0.1
        units: [chat.service]
        msg: "Port 8001 is held by {found}; stop that first."
    ready:
      - unit: chat.service
        inference: {url: "http://127.0.0.1:8001"}
        timeout_s: 900

- name: Take it away again
  mlops.hosts.component:
    name: chat
    state: absent
"""

RETURN = r"""
component:
  description: Name of the component.
  type: str
  returned: always
drift:
  description: Every difference that was found, before anything was changed.
  type: list
  elements: dict
  returned: always
  contains:
    kind:
      description:
        - C(image), C(repository), C(package), C(user), C(directory), C(file), C(json_key), C(link), C(path) or C(unit).
      type: str
    item:
      description: Name or path; for a JSON key, the path of the file and the key.
      type: str
    attribute:
      description: What differs, such as V(content), V(mode), V(version) or V(state).
      type: str
    want:
      description: What is desired. Null when the item should not be there.
      type: raw
    have:
      description: What was found. Null when it was not there.
      type: raw
started:
  description: Units that were started.
  type: list
  elements: str
  returned: always
restarted:
  description: Units that were restarted.
  type: list
  elements: str
  returned: always
reloaded:
  description: Units that were reloaded.
  type: list
  elements: str
  returned: always
stopped:
  description: Units that were stopped.
  type: list
  elements: str
  returned: always
rolled_back:
  description: Whether a change failed and the host was brought back to what it was.
  type: bool
  returned: always
recovered:
  description: What was done about an earlier run that was killed, V(none), V(undone) or V(finished).
  type: str
  returned: always
reboot_required:
  description: Whether a change takes effect only after a reboot.
  type: bool
  returned: always
pending:
  description: What the component waits for, see O(requires). Nothing was changed when it is not empty.
  type: list
  elements: dict
  returned: always
  contains:
    what:
      description: The port or path.
      type: str
      sample: port 8001
    why:
      description: The sentence of the condition.
      type: str
      sample: Port 8001 is held by trainer (pid 812, training.service).
    ends_with:
      description: What ends the wait.
      type: str
      sample: the end of the training
requires:
  description: The sentences of all conditions that do not hold, see O(requires).
  type: list
  elements: str
  returned: when one of them makes the task fail
after_install:
  description: Validators that could not run in check mode since their program is not installed yet.
  type: list
  elements: str
  returned: always
ready:
  description: How each readiness condition was met.
  type: list
  elements: dict
  returned: always
  contains:
    condition:
      description: The condition in words.
      type: str
    waited_s:
      description: How long it took, in seconds.
      type: float
    stage:
      description: How far it came, V(process), V(port), V(loading) or V(answers).
      type: str
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._component import engine, fs_entry
from ..module_utils._component.arguments import SPEC, complete
from ..module_utils._component.desired import STATE_DIR, parse
from ..module_utils._component.ready import RunEnvironment
from ..module_utils._component.store import Store
from ..module_utils._errors import HostError
from ..module_utils._runner import ModuleRunner
from ..module_utils._umask import usual_umask


class _Module(AnsibleModule):  # type: ignore[misc]  # to mypy it is Any
    """An AnsibleModule that does not write the contents of all files to the host's journal at every run."""

    def _log_invocation(self) -> None:
        self.log(f"component {self.params['name']} is to be {self.params['state']}")


def _fetch(url: str, **options: t.Any) -> t.Any:
    """A Fetch, imported when something is asked over HTTP: a host that is right need not wait for that."""
    from ..module_utils._http_plain import PlainFetch

    return PlainFetch()(url, **options)


def main() -> None:
    usual_umask()
    module = _Module(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    call = params["_call"] or {
        "run": f"pid-{os.getpid()}",
        "controller": "somewhere",
        "work_error": None,
        "earlier": [],
    }
    # The whole request does not travel back with every answer.
    invocation = {"module_args": {"name": params["name"], "state": params["state"]}}
    if os.geteuid() != 0:
        user = fs_entry.owner_name(os.geteuid())
        module.fail_json(
            msg=f"component {params['name']!r} needs root for files, packages and units, in check mode too, and this "
            f"task runs as user {user}; set become: true on the task or the play",
            invocation=invocation,
        )
    try:
        result = engine.ensure(
            engine.Request(
                component=parse(complete(params)),
                run=call["run"],
                controller=call["controller"],
                check_mode=module.check_mode,
                lock_timeout_s=params["lock_timeout_s"],
                work_error=call["work_error"],
                earlier=tuple(call["earlier"]),
            ),
            Store(STATE_DIR),
            RunEnvironment(run=ModuleRunner(module), fetch=_fetch),
        )
    except HostError as exc:
        module.fail_json(msg=str(exc), invocation=invocation, **exc.details)
    if not module._diff:
        result.pop("diff", None)
    for text in result.pop("warnings", ()):
        module.warn(text)
    module.exit_json(invocation=invocation, **{"changed": False, **result})


if __name__ == "__main__":
    main()
