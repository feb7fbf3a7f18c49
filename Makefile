# Every verb does its own set-up. What is made lies under .venv and .build.
PY := .venv/bin/python
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build/collections
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup check unit sanity molecule faults vm vllm sglang ee docs compat pins matrix test demo demo-down bench clean

help:  ## say what the verbs do
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile

setup:  ## make .venv from requirements.lock, again when the lock has changed
	@tools/setup.sh

check: setup  ## format, lint, types, changelog, unit and contract tests
	@$(PY) tools/each.py "ruff format --check . & ruff check . & mypy & yamllint --strict . & $(PY) tools/lint.py --offline & \
	  antsibull-changelog lint & pytest --numprocesses=2"
	@$(PY) tools/runs.py check

unit: setup  ## unit and contract tests only
	pytest

sanity: setup  ## ansible-test sanity, and the built artifact as Galaxy and a user take it
	$(PY) tools/release/sanity.py
	@$(PY) tools/runs.py sanity

molecule: setup  ## scenarios on real hosts, or s=NAME; all=1 runs those that are left out of make test, too; keep=1 leaves the hosts there
	$(PY) tools/scenario.py $(if $(keep),--keep) $(if $(all),--all) $(s)

faults: setup  ## stop changes at every step on real hosts, and look at what becomes of them; k=EXPRESSION for some tests
	pytest --config-file=tests/faults/pytest.ini --numprocesses=6 $(if $(k),-k '$(k)') tests/faults
	@$(if $(k),:,$(PY) tools/runs.py faults)

vm: setup  ## drivers on a virtual host under QEMU: kernels, modules, boot loader, reboot; k=EXPRESSION for some tests
	pytest --config-file=tests/vm/pytest.ini $(if $(k),-k '$(k)') tests/vm
	@$(if $(k),:,$(PY) tools/runs.py vm)

ee: setup  ## build the execution environment, and run jobs in it as AWX does, on two hosts; k=EXPRESSION for some tests
	pytest --config-file=tests/ee/pytest.ini $(if $(k),-k '$(k)') tests/ee
	@$(if $(k),:,$(PY) tools/runs.py ee)

docs: setup  ## the site of the documentation, without a warning or a broken link
	$(PY) -m tools.docs

vllm: setup  ## real vLLM for CPUs under the roles, from its wheels: 5 GiB and half an hour
	$(PY) tools/engine_wheels.py vllm
	$(PY) tools/scenario.py model_server_vllm

sglang: setup  ## real SGLang on CPUs under the roles, from its wheels: 15 GiB and half an hour
	$(PY) tools/engine_wheels.py sglang
	$(PY) tools/scenario.py model_server_sglang

compat: setup  ## the engine, and what users do, with the other ansible-core versions that this machine's Pythons can run
	$(PY) tools/release/compat.py $(v) $(if $(s),--scenario=$(s))

pins: setup  ## whether each version, hash, key and image that is pinned is still served, one line each; a minute
	@$(PY) -m tools.pins

matrix: setup  ## take what was run in this checkout into tests/runs.json, and write the tables that are made of it, and the SBOM
	$(PY) tools/support_matrix.py --take
	$(PY) -m tools.sbom

# Sanity and compat keep one processor busy each. In a fresh clone, the images are made meanwhile.
test: setup  ## all of it, ring by ring
	@$(PY) tools/each.py 'make check' 'make sanity & make compat v=2.18 s=component & make docs & $(PY) -m tools.hosts images' 'make molecule' 'make faults'

demo: setup  ## a small fleet on this machine
	$(PY) -m tools.demo up
	@$(PY) tools/runs.py demo

demo-down: setup  ## remove the demo's hosts
	$(PY) -m tools.demo down

bench: setup  ## measure what a host that is right costs, a model, a gateway, a log shipper, and GPU metrics; peers=FOLDER of roles to compare with, where Galaxy is not reached
	$(PY) benchmarks/run.py $(if $(peers),--peers=$(peers))
	$(PY) benchmarks/models.py
	$(PY) benchmarks/gateway.py
	$(PY) benchmarks/gpu_metrics.py
	$(PY) benchmarks/log_shipper.py

clean:  ## remove the test hosts, the engine if it was started from here, and what was made
	@if [ -x $(PY) ] && [ -d .build ]; then $(PY) -m tools.vm down --all; $(PY) -m tools.hosts clean; fi
	rm -rf .build .venv .ansible .mypy_cache .pytest_cache .ruff_cache .hypothesis
