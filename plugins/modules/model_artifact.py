#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: model_artifact
short_description: Keep models at pinned revisions in a content-addressed store
description:
  - Fetches models from a Hugging Face hub (any endpoint), from stores that speak S3, from OCI registries, from web
    servers, or from a path on the host, verifies every file, and publishes each version in one step.
  - All artefacts of a host are given to one execution. Nothing is published unless every file of every artefact is
    complete and has the right checksum. A model of which a shard that its index of safetensors names, or a part of a
    split GGUF file, is not among the files is not published either.
  - What is there already is not asked for again. A host that is right needs no network, and no file is read again to be
    hashed, since size, time and inode of each verified file are recorded.
  - Downloads go on where an earlier run was cut off.
  - Contents lie once in C(blobs), shared by all versions and artefacts. A version is a folder of hard links to them,
    so that a container or a hardened unit can read a version without seeing anything else. C(models/NAME/current)
    points to the desired version.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  artifacts:
    description: The artefacts. Those that are in the store and not named here are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the artefact in the store. Letters, digits, C(.), C(_) and C(-).
        type: str
        required: true
      state:
        description:
          - V(present) makes the desired version complete and current.
          - V(absent) removes all versions of the artefact, and the contents that nothing else uses.
        type: str
        choices: [present, absent]
        default: present
      source:
        description:
          - V(hf://org/name) is a repository of a hub, V(hf://org/name/path/file) one file of it.
          - V(https://host/folder) needs O(artifacts[].files). V(https://host/folder/file) needs
            O(artifacts[].sha256). The same goes for V(file:///folder) on the host. A query, as in a signed address,
            is used and never shown.
          - V(s3://bucket/folder) is all below that folder of a bucket, or those of O(artifacts[].files);
            V(s3://bucket/folder/file) with O(artifacts[].sha256) is one object. See O(artifacts[].s3).
          - V(oci://registry/name) is an artefact of an OCI registry whose layers are files as they are, such as
            ModelPack or Docker's models. V(oci://registry/name@sha256:DIGEST) has its O(artifacts[].revision). Layers
            that are packed, as by tar, are refused unless O(artifacts[].exclude) leaves them out.
          - A layer is named by its annotation C(org.cncf.model.filepath), or else C(org.opencontainers.image.title).
            Those of Docker's models without names are V(model.gguf), V(model.safetensors), V(model.mmproj),
            V(template.jinja) and V(LICENSE), or V(model-00001-of-00002.gguf) and so on where there are several of a
            type.
          - V(store://VERSION) is a version that the store has already, by the name of its folder. It becomes current
            again, and no source is asked; no other option but its name goes with it.
          - Required when O(artifacts[].state=present).
        type: str
      revision:
        description:
          - Commit of the hub's repository, 40 hexadecimal digits. Required for V(hf://).
          - A branch or tag is refused, and the message says the commit that it points to now.
          - For V(s3://), the digest of all paths and checksums of the artefact. It is required unless every one of
            O(artifacts[].files) has its checksum. Without it, the message says the one of now.
          - That digest is the sha256 of a list of pairs of path and checksum, sorted, as JSON without spaces.
          - For V(oci://), the digest of a manifest, V(sha256:) and 64 hexadecimal digits. A tag is refused, and the
            message says the digest that it points to now. Of an index, the manifest that names no platform is taken.
        type: str
      sha256:
        description: Checksum of a source that is one file. For V(hf://) it may be left out, since the hub says it.
        type: str
      files:
        description:
          - The files to have. For V(hf://), V(s3://) and V(oci://) it may be left out to have those that
            O(artifacts[].include) and O(artifacts[].exclude) choose.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Path below the source, and below the folder of the version.
            type: str
            required: true
          sha256:
            description:
              - Checksum of the file. Required unless the source says it; when both are there they must agree.
              - A store that speaks S3 says it of objects that were uploaded with C(x-amz-checksum-sha256) and not in
                parts. An ETag is not taken for a checksum, since it depends on the parts of the upload.
            type: str
          size:
            description: Size in bytes. Without it, the source is asked.
            type: int
          version_id:
            description: For V(s3://), the version of the object in a bucket that keeps versions.
            type: str
      include:
        description:
          - Patterns of files to take from a source that lists them, V(hf://), V(s3://) or V(oci://). Without it, all.
          - A C(*) also matches C(/), as in the hub's own tools.
        type: list
        elements: str
        default: []
      exclude:
        description: Patterns of files to leave out.
        type: list
        elements: str
        default: []
      endpoint:
        description:
          - Address of the hub for this artefact, in the place of O(endpoint).
          - For V(s3://), address of the store. Without it, AWS in the region O(artifacts[].s3.region).
          - For V(oci://), address of the registry, or of one that mirrors it. Without it, https of its name.
        type: str
      token:
        description:
          - Token for this artefact. It is sent to its source only.
          - A redirect takes it along within one host and port, and from http to https of one host, and nowhere else.
        type: str
      token_file:
        description: File on the host with the token in its first line.
        type: path
      username:
        description:
          - For V(oci://), the name whose password or access token O(artifacts[].token) is. Both go to the registry, or
            to the token server that it names, which must have https if the registry has.
          - Without it, O(artifacts[].token) is sent as it is; without both, the registry is asked as by anybody.
        type: str
      s3:
        description:
          - How to ask for V(s3://). Without credentials, requests are not signed, as for a public bucket.
          - Requests are signed (version 4) for the store and its other regions only. A redirect to any other host is
            followed without a signature.
        type: dict
        suboptions:
          region:
            description: Region of the bucket. V(us-east-1) without it; the store may say another one, which is taken.
            type: str
          addressing:
            description:
              - Where the bucket is named, in the path of the address or as its host. V(auto) is V(virtual) for AWS,
                unless the name of the bucket has a dot, and V(path) for other stores.
            type: str
            choices: [auto, path, virtual]
            default: auto
          access_key:
            description: Name of the access key.
            type: str
          secret_key:
            description: The access key's secret. It signs, and is not sent.
            type: str
          session_token:
            description: Token of temporary credentials. It is sent to the store.
            type: str
          credentials_file:
            description:
              - File on the host with a section C([default]) that has C(aws_access_key_id), C(aws_secret_access_key) and
                maybe C(aws_session_token), as AWS's own tools write it.
            type: path
  store:
    description: Folder of the store. It is made when its parent exists or can be made.
    type: path
    default: /var/lib/mlops-models
  owner:
    description: Owner of all that is in the store. Without it, the user who runs the module.
    type: str
  group:
    description: Group of all that is in the store. Give it to the services that read models.
    type: str
  mode:
    description:
      - Permission bits of files as octal digits. Folders can be searched by those who can read.
      - It is one for the whole store, since versions and artefacts share files.
    type: str
    default: "0644"
  endpoint:
    description: Address of the hub for V(hf://) sources.
    type: str
    default: https://huggingface.co
  token:
    description: Token for V(hf://) sources. It is not sent to any other source.
    type: str
  token_file:
    description: File on the host with the token for V(hf://) sources in its first line.
    type: path
  seeds:
    description:
      - Addresses of the stores of other hosts, such as V(https://gpu01.example.com/models), that are asked first for
        every file whose sha256 is known, in this order, as ADDRESS/blobs/sha256-HEX. Any web server can serve them.
      - What they send is verified as well. What they do not have, or send wrong, comes from the source,
        and a warning says so. No token is sent to them.
    type: list
    elements: str
    default: []
  ca_path:
    description: PEM file with the certificates to trust, in the place of those of the host.
    type: path
  keep:
    description:
      - How many versions besides the desired one stay for each artefact in O(artifacts), newest first.
      - Giving it also removes contents that no version uses, and what is left of downloads that are not desired any
        more.
      - A version that a process has open or mapped, or that a systemd service names, stays until that has ended. The
        one that served before the last run of C(mlops.hosts.model_rollout) stays, too.
      - Without it, nothing is removed but what O(artifacts[].state=absent) asks for.
    type: int
  verify:
    description: Read and hash every file of the artefacts again, and repair what is damaged.
    type: bool
    default: false
  parallel:
    description: How many files are fetched at once.
    type: int
    default: 4
  retries:
    description:
      - How often each question to a source and each download of a file is tried again, when there was no answer, it
        broke off, or it was 408, 425, 429 or one from 500 on that may pass.
      - The waits in between double from 1 to 60 seconds, unless the source says how long to wait.
      - An attempt of a download that brought 64 MiB more than any before does not count. A certificate that is not
        accepted is not tried again.
    type: int
    default: 5
  max_wait_s:
    description:
      - How long to wait in all, in seconds, because sources ask for it with C(Retry-After) or C(RateLimit).
      - Each such wait is a warning in the result. A source that asks for more is an error that says how long.
    type: int
    default: 600
  timeout_s:
    description: How long to wait for a connection, and for each piece of an answer, in seconds.
    type: int
    default: 60
  reserve_mib:
    description: Space that must stay free on the file system of the store, in MiB.
    type: int
    default: 1024
  mount_required:
    description: Refuse a store that is on the root file system, as when the disk for models is not mounted.
    type: bool
    default: false
  purge:
    description:
      - Take away the whole store, named artefacts or not. O(artifacts) must be empty. The folder itself stays.
      - It is refused while a process uses a model of it.
    type: bool
    default: false
  lock_timeout_s:
    description: How long to wait for another run that changes the same store, in seconds.
    type: int
    default: 120
  progress_s:
    description:
      - How often to say how far a download of more than 1 GiB in all has come, in seconds. What is said is how much of
        it is there, how fast more comes, and how long the rest takes at that speed.
      - Such a download runs as Ansible's own jobs do, as with C(async), and is asked for its state in between. A
        connection that breaks meanwhile is opened again. When the controller is stopped, the download goes on, and the
        next run waits for it as long as O(lock_timeout_s) says.
      - While it runs, its arguments are in Ansible's temporary folder on the host, mode 0700, as those of any module
        are without pipelining. O(token_file) keeps a token out of them.
      - A job that is killed on the host with all of its processes, as by the kernel where memory is short, ends the
        task with a sentence that says so. What came is kept, and the next run goes on with it.
      - Where less is fetched, it costs no further question.
      - With V(0), with C(async), and where the connection cannot run jobs, all is fetched in one question and nothing
        is said before its end.
    type: int
    default: 60
  defer_above_mib:
    description:
      - When more than so many MiB are to be fetched, fetch nothing, change nothing, and answer as in check mode, with
        RV(deferred_bytes).
      - It is what tells the action plugin of this module whether there is progress to be shown. O(progress_s) has no
        effect with it.
    type: int
attributes:
  check_mode:
    details:
      - Sources are asked for what they have, no model data is fetched, and nothing is written.
      - The sha256 of small files of a hub is not known before they were fetched.
  diff_mode:
    details: The diff is the plan.
  platform:
    details: The file system of the store must have hard links.
extends_documentation_fragment:
  - mlops.hosts._attributes
notes:
  - The owner of the store can change what it holds. Run no service as that user; give services the group.
  - A download needs room for the new files next to the old ones. It is checked before the first byte.
  - A server that has a version open, or whose configuration names its path, keeps working when O(artifacts) moves on;
    set O(keep) so that the version before the desired one stays as long as it may be needed.
"""

EXAMPLES = r"""
- name: Two models from the hub, readable by the group of the model servers
  mlops.hosts.model_artifact:
    owner: mlops-models
    group: mlops-models
    mode: "0440"
    token_file: /etc/mlops/hub-token
    artifacts:
      - name: chat
        source: hf://meta-llama/Llama-3.1-8B-Instruct
        revision: 0e9e39f249a16976918f6564b8830bc894c89659
        exclude: ["original/*", "*.bin"]
      - name: embed
        source: hf://BAAI/bge-m3/onnx/model.onnx
        revision: 5617a9f61b028005a4858fdac845db406aefb181

- name: One file from a web server, pinned by its checksum
  mlops.hosts.model_artifact:
    artifacts:
      - name: tiny
        source: https://models.example.com/tiny.gguf
        sha256: 26df49567afb3835679929be618fb45ab8e3c2cd44fb310b5f173c52745903d3

- name: A folder of a bucket, in a store of the site
  mlops.hosts.model_artifact:
    artifacts:
      - name: chat
        source: s3://models/llama-3.1-8b
        revision: 190385d3cead583507a78ca378c2ef58e75b8e63513c2e0d5d063dd91756d5ae
        exclude: ["original/*"]
        endpoint: https://s3.example.com
        s3:
          credentials_file: /etc/mlops/s3-credentials

- name: A ModelPack artefact of a registry, by its digest
  mlops.hosts.model_artifact:
    artifacts:
      - name: chat
        source: oci://registry.example.com/models/llama-3.1-8b
        revision: sha256:2af6c9c554a129605c2af9ead2c0dc5cfd5451af4d75133df24a17cfae52ea6a
        username: robot
        token_file: /etc/mlops/registry-token

- name: From a disk that was carried in, keeping one earlier version
  mlops.hosts.model_artifact:
    keep: 1
    artifacts:
      - name: chat
        source: file:///media/bundle/chat
        files:
          - path: model.gguf
            sha256: 26df49567afb3835679929be618fb45ab8e3c2cd44fb310b5f173c52745903d3

- name: Read every file again and repair what the disk has spoilt
  mlops.hosts.model_artifact:
    verify: true
    artifacts: "{{ models }}"

- name: Remove a model and the contents that only it used
  mlops.hosts.model_artifact:
    artifacts:
      - name: chat
        state: absent
"""

RETURN = r"""
artifacts:
  description: The artefacts in the order of the option. In check mode, as they would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the artefact.
      type: str
    state:
      description: V(present) or V(absent), as asked for.
      type: str
    source:
      description: Where it comes from, without a query. Null when it is absent.
      type: str
    revision:
      description:
        - The commit of a hub's repository, the digest of a folder of a bucket or of a manifest.
        - Null where none is given.
      type: str
    version:
      description:
        - Name of the version. For a hub it is the commit, and for a registry the hexadecimal digits of the digest,
          followed by a digest of the choice of files when there is one.
        - For other sources it is a digest of paths and checksums, of which a bucket's revision is the whole.
        - Null when it is absent.
      type: str
    path:
      description: Folder of the version. It never changes its content. Null when it is absent.
      type: str
      sample: /var/lib/mlops-models/models/chat/0e9e39f249a16976918f6564b8830bc894c89659
    current:
      description: Link that points to the desired version and moves on with it. Null when it is absent.
      type: str
      sample: /var/lib/mlops-models/models/chat/current
    files:
      description: Files of the version.
      type: list
      elements: dict
      contains:
        path:
          description: Path below RV(artifacts[].path).
          type: str
        sha256:
          description: Checksum. Null in check mode for a small file of a hub that was not fetched yet.
          type: str
        size_bytes:
          description: Size. Null in check mode when the source does not say it.
          type: int
        absolute_path:
          description: Path on the host.
          type: str
    downloaded_bytes:
      description: Bytes that were fetched for this artefact. What two artefacts share counts for the first one.
      type: int
    changed:
      description: Whether something was changed for this artefact.
      type: bool
downloaded_bytes:
  description: Bytes that were fetched in all.
  returned: success
  type: int
deferred_bytes:
  description: Bytes that are to come and were not fetched, because of O(defer_above_mib). Else 0.
  returned: success
  type: int
actions:
  description: What was done, or would be done in check mode, in order. Empty on a host that is right.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description:
        - V(clean) removes what a killed run left. V(fetch) brings a content. V(link) gives a content its name in
          C(blobs) back. V(repair) links a file of a version anew. V(record) notes that a touched file was found right.
          V(publish) makes a version. V(switch) moves C(current). V(own) sets owner, group and mode. V(remove) takes
          versions away. V(drop) removes a part of a download. V(collect) removes a content that nothing uses.
          V(dismantle) removes the empty folders.
      type: str
    artifact:
      description: Name of the artefact, null when it is not for one of them.
      type: str
    item:
      description: What it is done to.
      type: str
    size_bytes:
      description: Size of what is fetched or removed, null when it is not known or does not matter.
      type: int
drift:
  description: Every difference that was found, before anything was changed.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Always V(artifact).
      type: str
    item:
      description: Name of the artefact, file of it, or path.
      type: str
    attribute:
      description: What differs, such as V(version), V(content), V(ownership) or V(state).
      type: str
    want:
      description: What is desired.
      type: raw
    have:
      description: What was found.
      type: raw
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._http_module import ModuleFetch
from ..module_utils._model import host
from ..module_utils._model.arguments import EXCLUSIVE, SPEC
from ..module_utils._model.artifact import RunEnvironment, ensure
from ..module_utils._model.fast_check import artifacts, settings
from ..module_utils._umask import usual_umask


def main() -> None:
    usual_umask()
    module = AnsibleModule(SPEC, mutually_exclusive=EXCLUSIVE, supports_check_mode=True)
    given = module.params
    environment = RunEnvironment(
        fetch=ModuleFetch(ca_path=given["ca_path"]),
        clock=time.monotonic,
        now=time.time,
        sleep=time.sleep,
        free_bytes=host.free_bytes,
        mount_point=host.mount_point,
        rollback=host.rollback,
        tell=module.warn,
    )
    try:
        desired, secrets = artifacts(given)
        module.no_log_values.update(secrets)
        for artifact in desired:
            if artifact.source and artifact.source.exposes_secret:
                module.warn(f"the token for {artifact.name} is sent unencrypted to {artifact.source.shown}")
        ownership = host.ownership(given["owner"], given["group"], given["mode"], dry_run=module.check_mode)
        result = ensure(desired, given["store"], ownership, environment, settings(given), dry_run=module.check_mode)
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result.result)


if __name__ == "__main__":
    main()
