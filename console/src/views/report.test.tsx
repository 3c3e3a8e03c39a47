import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { Checked, summary } from "../cards/Checked.tsx";
import type { Evidence, Report as Reported } from "../protocol.ts";
import { Report } from "./Report.tsx";

const OLD: Reported = {
  task_id: "t",
  state: "completed",
  detail: null,
  prose: "Done.",
  evidence: {
    files: [],
    commands: [],
    steps: 1,
    tool_calls: 0,
    cost_dollars: 0.001,
    duration_ms: 10,
    stop_reason: "end_turn",
  },
};

const FINDING = {
  tool: "shellcheck",
  rule: "SC2086",
  severity: "note" as const,
  message: "Double quote <b>",
  path: "run.sh",
  line: 2,
};

test("a report of an older version is shown as it is", () => {
  const html = renderToStaticMarkup(<Report report={OLD} />);
  expect(html).toContain("Changed files");
  expect(html).not.toContain("Contradicted");
  expect(html).not.toContain("account");
});

test("contradicted claims come first, and the account is apart", () => {
  const report: Reported = {
    ...OLD,
    account: {
      summary: "All <i>tests</i> pass.",
      next_steps: [{ who: "Tron-QA", what: "look again" }],
      left_undone: [],
      risks: [],
    },
    claims: [
      {
        said: "tests passed: pytest",
        judgement: "contradicted",
        why: "No such command ran.",
        seq: null,
      },
      { said: "It was changed: a", judgement: "supported", why: "Its content differs.", seq: 4 },
    ],
    unmentioned: ["b.sh"],
    evidence: {
      ...OLD.evidence,
      checks: {
        findings: [
          { ...FINDING, new: true },
          { ...FINDING, line: 9, new: false },
        ],
        more: 0,
        ran: [{ tool: "shellcheck" }],
        not_run: [{ tool: "hadolint", reason: "it is not installed", path: null }],
        checklist: [
          {
            id: "secrets",
            title: "No secrets are committed",
            verdict: "failed",
            proofs: [{ verdict: "failed", why: "A key lies there.", path: "k.pem", line: null }],
          },
        ],
        notes: [],
      },
    },
  };
  const html = renderToStaticMarkup(<Report report={report} />);
  const order = [
    "No such command ran.",
    "Changed files",
    "1 new finding, 1 there before",
    "All &lt;i&gt;",
  ];
  const places = order.map((words) => html.indexOf(words));
  expect(places.every((place) => place >= 0)).toBe(true);
  expect([...places].sort((a, b) => a - b)).toEqual(places);
  for (const words of [
    "Tron-QA: look again",
    "b.sh",
    "A key lies there.",
    "hadolint: it is not installed",
  ])
    expect(html).toContain(words);
});

test("commits that are not named are counted, and what was left behind is said", () => {
  const evidence = {
    ...OLD.evidence,
    branch: "topic",
    commits: [{ sha: "c".repeat(40), subject: "Last step", files: 1 }],
    more_commits: 41,
    handed_over: "left",
    hand_over_detail: "It is in the checkout only.",
  };
  const html = renderToStaticMarkup(<Report report={{ ...OLD, evidence }} />);
  expect(html).toContain("Last step");
  expect(html).toContain("and 41 more");
  expect(html).toContain('<span class="chip bad">left</span>');
  expect(html).toContain("It is in the checkout only.");
});

test("a task without an account says why", () => {
  const report = { ...OLD, account: null, account_missing: "The model declined." };
  expect(renderToStaticMarkup(<Report report={report} />)).toContain(
    "There is no account of the task. The model declined.",
  );
});

test("a card tells what linters found in what its call wrote", () => {
  const item: Evidence = {
    kind: "checked",
    path: "run.sh",
    tools: ["shellcheck"],
    new: [FINDING],
    more: 0,
    old: 1,
    known: true,
    not_run: [],
  };
  expect(summary(item)).toBe("Checks: 1 new finding, 1 that was there before (shellcheck)");
  expect(summary({ ...item, new: [], old: 0 })).toBe("Checks: no new finding (shellcheck)");
  expect(summary({ ...item, new: [], tools: [], old: 0 })).toBe("Checks: not checked");
  const html = renderToStaticMarkup(<Checked item={item} />);
  expect(html).toContain("run.sh:2");
  expect(html).toContain("Double quote &lt;b&gt;");
});
