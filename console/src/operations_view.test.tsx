// @vitest-environment happy-dom
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import type { Alert, Operations } from "./operations.ts";
import { Firing } from "./views/Alerts.tsx";
import { Chart } from "./views/Chart.tsx";
import { Figures } from "./views/Figures.tsx";
import { Backups } from "./views/Tables.tsx";

const NUMBERS: Operations = {
  at: "2026-11-26T10:00:00Z",
  whole: true,
  detail: null,
  window_seconds: 300,
  step_seconds: 15,
  requests: {
    requests: 120,
    per_second: 0.4,
    errors: 6,
    refused: 2,
    error_ratio: 0.05,
    p50_seconds: 0.02,
    p95_seconds: 0.4,
  },
  routes: [],
  runs: { queued: 3, running: 2, waiting: 1, stuck: 0, queue_age_seconds: 42 },
  work: { messages: 1, runs_ended: {}, takeovers: 0, steps: 9, tool_calls: [] },
  model: {
    calls: {},
    retries: 4,
    tokens: {},
    dollars: 0.125,
    cache_ratio: 0.9,
    breakers: { haiku: "closed" },
  },
  clients: { sockets: 11, watched: 5, slow_disconnects: 0, publishes_lost: 0 },
  processes: [],
  disks: {},
  backups: null,
  parts: [],
  history: [],
};

const words = (markup: string) => markup.replace(/<[^>]+>/g, " ").replace(/\s+/g, " ");

describe("the figures", () => {
  test("are those of the service", () => {
    const shown = words(renderToStaticMarkup(<Figures numbers={NUMBERS} />));
    for (const piece of ["0.40 /s", "120 in all", "5.0 %", "6 failed, 2 refused", "20 ms", "42 s"])
      expect(shown).toContain(piece.replace(" /s", "/s"));
    expect(shown).toContain("4 retries");
  });

  test("that the database does not say are said not to be known", () => {
    const shown = words(renderToStaticMarkup(<Figures numbers={{ ...NUMBERS, runs: null }} />));
    expect(shown).toContain("Queue – the database does not say");
  });

  test("of a model that does not answer say which", () => {
    const model = { ...NUMBERS.model, breakers: { haiku: "open" } };
    expect(words(renderToStaticMarkup(<Figures numbers={{ ...NUMBERS, model }} />))).toContain(
      "haiku is open",
    );
  });
});

test("a chart has a title, words for it, and its values as a table", () => {
  const markup = renderToStaticMarkup(
    <Chart
      title="Latency"
      at={["2026-11-26T10:00:00Z", "2026-11-26T10:00:15Z"]}
      step={15}
      say={(value) => `${value} s`}
      series={[{ name: "median", values: [1, 2] }]}
    />,
  );
  expect(markup).toContain('role="img"');
  expect(markup).toContain("Latency. median: 2 s last");
  expect(markup).toContain("As a table");
  expect(markup.match(/<polyline/g)).toHaveLength(1);
});

test("an alert is told with its sentence, its weight and where to read on", () => {
  const alert: Alert = {
    id: "1",
    alert: "ErrorRate",
    severity: "critical",
    sentence: "7 % of requests fail\u202e",
    process: "one:8000",
    since: "2026-11-26T10:00:00Z",
    runbook: "docs/runbook.md#errorrate",
  };
  const shown = words(
    renderToStaticMarkup(<Firing alerts={{ items: [alert], complete: false }} />),
  );
  for (const piece of [
    "ErrorRate",
    "critical",
    "7 % of requests",
    "⟨U+202E⟩",
    "What to do",
    "Means",
  ])
    expect(shown).toContain(piece);
  const elsewhere = { items: [{ ...alert, runbook: "docs/runbook.md#nothing" }], complete: true };
  expect(words(renderToStaticMarkup(<Firing alerts={elsewhere} />))).toContain(
    "runbook.md#nothing",
  );
  expect(shown).toContain("other processes see are not among these");
  const none = renderToStaticMarkup(<Firing alerts={{ items: [], complete: true }} />);
  expect(words(none)).toContain("No alert fires.");
});

test("backups that nobody keeps are not shown as none yet", () => {
  expect(words(renderToStaticMarkup(<Backups backups={null} />))).toContain("keeps none itself");
  const none = { age_seconds: null, lag_seconds: 1, bytes: 0 };
  expect(words(renderToStaticMarkup(<Backups backups={none} />))).toContain("none yet");
});
