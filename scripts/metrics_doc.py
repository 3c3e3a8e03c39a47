#!/usr/bin/env python3
"""Writes docs/metrics.md from the code: every metric, its kind, its labels and its sentence.

.venv/bin/python scripts/metrics_doc.py           write it
.venv/bin/python scripts/metrics_doc.py --check   fail, with status 1, when it is out of date
"""

import sys
from pathlib import Path

from flynn.telemetry.metrics import Metrics

PAGE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"

HEAD = """\
# Metrics

`GET /metrics` gives what a process counts and measures, in Prometheus's text format. `flynn serve` has \
it at its port; `flynn worker --port 9100` opens a port for `/health`, `/ready` and `/metrics` of that \
worker alone.

It needs no key, like `/health` and `/ready`: it says how much is going on, and names no conversation, \
workspace, key or person. The service listens on the loopback unless it is told otherwise; behind a \
proxy, keep `/metrics` from those who are not to know how busy the service is.

- Counters and histograms are of the process that they are read from, and begin at zero with it: sum \
them over all processes. A tool's label is one of Flynn's tools, or `other` for a name that the model \
made up.
- A route's label is its template, such as `/api/v1/tasks/{task_id}`, and `other` where there is none or \
the request was refused before one was looked for (no valid key, a foreign origin). Methods that HTTP does \
not know are `other` too. So nothing that a client sends makes a series.
- A request is counted when its answer begins, which for a stream is long before its end. The time is that \
until then, from when its body was there: streams, Socket.IO, and requests with `wait` are not timed, since \
they are to take long.
- `flynn_runs`, `flynn_runs_stuck` and `flynn_queue_…` are of the whole service, asked of the database at \
most every 3 seconds: take the maximum over processes, not the sum. When the database does not answer, they \
are left out (`NaN`) and `flynn_census_up` is 0; the rest of the page is there all the same.
- `flynn_part_state` is what `/ready` said within the last 3 seconds: `flynn_part_state{state="ok"} == 0` is \
worth an alert.
- Of the process itself there are the usual `process_…` metrics: memory, CPU seconds, open files.

In PromQL, what is asked most often:

| Question | Query |
|---|---|
| Requests a second | `sum(rate(flynn_http_requests_total[5m]))` |
| Share of errors of ours | `sum(rate(flynn_http_requests_total{status=~"5.."}[5m])) / \
sum(rate(flynn_http_requests_total[5m]))` |
| Latency, 95th percentile | `histogram_quantile(0.95, sum by (le) \
(rate(flynn_http_request_seconds_bucket[5m])))` |
| The same by route | `histogram_quantile(0.95, sum by (le, route) \
(rate(flynn_http_request_seconds_bucket[5m])))` |
| Share of the prompt read from the cache | `sum(rate(flynn_tokens_total{class="cache_read"}[1h])) / \
sum(rate(flynn_tokens_total{class!="output"}[1h]))` |
| Dollars an hour | `sum(rate(flynn_dollars_total[1h])) * 3600` |
| Share of connections in use | `max(flynn_pool_in_use / flynn_pool_size)` |
| Redis is away | `flynn_part_state{part="live", state="ok"} == 0` |
| Cores in use | `rate(process_cpu_seconds_total[5m])` |

| Metric | Kind | Labels | What it says |
|---|---|---|---|
"""


def render() -> str:
    """The whole page."""
    rows = (
        f"| `{m.name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.sentence} |"
        for m in Metrics().described
    )
    return HEAD + "\n".join(rows) + "\n"


def main() -> int:
    """Write the page, or check it."""
    if sys.argv[1:] not in ([], ["--check"]):
        sys.stderr.write("metrics_doc.py: the only option is --check\n")
        return 2
    if not sys.argv[1:]:
        PAGE.write_text(render())
        return 0
    if PAGE.exists() and PAGE.read_text() == render():
        return 0
    sys.stderr.write("docs/metrics.md is out of date; run: .venv/bin/python scripts/metrics_doc.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
