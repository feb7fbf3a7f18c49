# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``tools/metric_names.py`` reads in expositions and in sources, and what it writes."""

from __future__ import annotations

import pytest

from tools import metric_names as tool

# Lines of llama-server 0.7.0 and HAProxy 3.2.26.
EXPOSED = """\
# HELP llamacpp:requests_deferred Number of requests deferred.
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 0
# HELP haproxy_backend_http_responses_total Total number of HTTP responses.
# TYPE haproxy_backend_http_responses_total counter
haproxy_backend_http_responses_total{proxy="good",code="5xx"} 3
"""
# As vLLM 0.32.0 and SGLang 0.5.23 declare theirs.
DECLARED = """
gauge = self._gauge_cls(name="vllm:num_requests_waiting", documentation="Number of requests.")
counter = Counter("vllm:num_preemptions", "Number of preemptions.")
total = Counter(name="vllm:prompt_tokens_total")
seconds = Histogram(name="vllm:time_to_first_token_seconds", buckets=[1, 2])
other = Gauge(name="requests")
names = {"load": "vllm:kv_offload_load_bytes", "again": "vllm:num_preemptions", "prefix": "vllm:", "device": "cuda:0"}
"""


def test_types_in_an_exposition():
    assert tool.exposed(EXPOSED) == {
        "llamacpp:requests_deferred": "gauge",
        "haproxy_backend_http_responses_total": "counter",
    }


def test_metrics_that_a_source_declares():
    assert tool.declared(DECLARED, "vllm") == {
        "vllm:num_requests_waiting": "gauge",
        "vllm:num_preemptions_total": "counter",
        "vllm:prompt_tokens_total": "counter",
        "vllm:time_to_first_token_seconds": "histogram",
        "vllm:kv_offload_load_bytes": "untyped",
    }


def test_versions_are_said_where_not_all_have_it():
    versions = {"1.0": {"a": "gauge", "b": "untyped"}, "2.0": {"b": "counter"}}
    assert tool.page("A program", versions) == "# A program: 1.0 2.0\na gauge 1.0\nb counter\n"


def test_files_and_folders_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "NAMES", tmp_path)
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/a.py").write_text(DECLARED)
    (tmp_path / "sources/b.py").write_text('NAME = "vllm:num_preemptions"\nOTHER = "vllm:num_requests_waiting"\n')
    tool.main("vllm", "vLLM", f"0.32.0={tmp_path / 'sources'}")
    assert (tmp_path / "vllm.txt").read_text().splitlines()[:3] == [
        "# vLLM: 0.32.0",
        "vllm:kv_offload_load_bytes untyped",
        "vllm:num_preemptions_total counter",
    ]
    (tmp_path / "page").write_text("nothing\n")
    with pytest.raises(SystemExit, match="page has no metric"):
        tool.main("vllm", "vLLM", f"1={tmp_path / 'page'}")
