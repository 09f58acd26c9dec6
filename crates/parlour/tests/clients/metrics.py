"""Reads Prometheus' text format from the standard input with Prometheus' own parser, and writes it as JSON: a list of
[name, labels, value, type]. A format error ends it with 1."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

samples = []
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, f"{family.name} has no HELP"
    assert family.type in ("counter", "gauge"), f"{family.name} is a {family.type}"
    for sample in family.samples:
        samples.append([sample.name, sample.labels, sample.value, family.type])
json.dump(samples, sys.stdout)
