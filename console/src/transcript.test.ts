import { describe, expect, test } from "vitest";
import type { Answer } from "./answer.ts";
import type { Call } from "./call.ts";
import { EMPTY, type Transcript } from "./items.ts";
import type { Delta, Envelope } from "./protocol.ts";
import { withDelta, withEvent } from "./transcript.ts";

const USAGE = { input: 40, output: 9, cache_read: 960, cache_write_5m: 0, cache_write_1h: 0 };

/** Events with their places, from types and data. */
function events(...given: [string, unknown][]): Envelope[] {
  return given.map(
    ([type, data], index) =>
      ({
        conversation_id: "c",
        seq: index + 1,
        at: "2026-11-26T00:00:00Z",
        run_id: "r",
        type,
        data,
      }) as unknown as Envelope,
  );
}

function fold(...given: Envelope[]): Transcript {
  return given.reduce(withEvent, EMPTY);
}

function delta(more: Partial<Delta>): Delta {
  return {
    conversation_id: "c",
    epoch: 1,
    step: 1,
    block: 0,
    offset: 0,
    kind: "text",
    text: "",
    ...more,
  };
}

function answerOf(t: Transcript): Answer {
  const found = t.items.filter((item) => item.kind === "answer").at(-1);
  if (found?.kind !== "answer") throw new Error("no answer");
  return found;
}

function callOf(t: Transcript, id?: string): Call {
  const found = answerOf(t).pieces.find(
    (piece) => piece.type === "call" && (id === undefined || piece.callId === id),
  );
  if (found?.type !== "call") throw new Error("no call");
  return found;
}

const SAID: [string, unknown] = [
  "message.sent",
  { message_id: "m", client_message_id: "k", principal: "ada", text: "hello" },
];
const BEGUN: [string, unknown][] = [
  SAID,
  ["run.queued", { reason: "message" }],
  ["run.started", { epoch: 1, worker: "w" }],
  ["step.started", { step: 1, attempt: 1, input_seqs: [1], model: "haiku" }],
];
const ASKED: [string, unknown] = [
  "message.completed",
  {
    step: 1,
    model: "haiku",
    stop_reason: "tool_use",
    content: [
      { type: "text", text: "I look." },
      { type: "tool_use", id: "t1", name: "Bash", input: { command: "ls" } },
    ],
  },
];

describe("events", () => {
  test("words are unread until a step takes them up", () => {
    const said = fold(...events(SAID));
    expect(said.items[0]).toMatchObject({
      kind: "said",
      text: "hello",
      read: false,
      during: false,
    });
    expect(fold(...events(...BEGUN)).items[0]).toMatchObject({ read: true });
  });

  test("words sent during a run say that they join", () => {
    const late = fold(...events(...BEGUN, SAID));
    expect(late.items.at(-1)).toMatchObject({ kind: "said", during: true, read: false });
  });

  describe("what a command changed", () => {
    const CHANGED = {
      call_id: "t1",
      tool: "Bash",
      before: "a",
      after: "b",
      files: [{ path: "a", change: "added", kind: "file", lines_added: 1, lines_removed: 0 }],
      more: 0,
      uncovered: [],
      uncovered_more: 0,
      diff_bytes: 10,
      diff_cut: false,
      missed: null,
    };

    test("has git's part in words, also where no file changed", () => {
      const told = (git: object) => {
        const data = { ...CHANGED, files: [], diff_bytes: 0, git };
        return callOf(fold(...events(...BEGUN, ASKED, ["workspace.changed", data]))).changes?.git;
      };
      const still = { head_before: "ref: refs/heads/main", head: "ref: refs/heads/main" };
      const at = { commit_before: "1".repeat(40), commit: "1".repeat(40), refs: false };
      expect(told({ ...still, ...at, commit: "2".repeat(40), refs: true, index: true })).toBe(
        "HEAD: 1111111 → 2222222",
      );
      expect(told({ ...still, ...at, head: "ref: refs/heads/x", index: false })).toBe(
        "HEAD: main → x",
      );
      expect(
        told({ head_before: "1".repeat(40), head: null, ...at, commit: null, index: true }),
      ).toBe("HEAD: 1111111 → no repository, 1111111 → no commit");
      expect(told({ ...still, ...at, refs: true, index: true })).toBe(
        "other branches or tags changed",
      );
      expect(told({ ...still, ...at, index: true })).toBe("what is staged changed");
      expect(
        callOf(fold(...events(...BEGUN, ASKED, ["workspace.changed", CHANGED]))).changes?.git,
      ).toBe("");
    });

    test("is told on its card, and an undo to there as well", () => {
      const ran = events(...BEGUN, ASKED, ["workspace.changed", CHANGED]);
      const t = fold(...ran);
      const seq = t.changedAt;
      expect(callOf(t).changes).toMatchObject({ seq, diffBytes: 10, missed: null });
      const target = { kind: "seq", seq };
      const asked = fold(
        ...events(
          ...BEGUN,
          ASKED,
          ["workspace.changed", CHANGED],
          ["undo.requested", { principal: "ada", target }],
        ),
      );
      expect(callOf(asked).undo).toMatchObject({ to: true, state: "asked", by: "ada", why: null });
      const file = { path: "b", before: null, after: "1" };
      const done = fold(
        ...events(
          ...BEGUN,
          ASKED,
          ["workspace.changed", CHANGED],
          ["undo.requested", { principal: "ada", target }],
          ["workspace.reverted", { target, files: [file], more: 2, left: ["pipe"], refused: null }],
        ),
      );
      expect(callOf(done).undo?.state).toBe("done");
      expect(done.items.at(-1)).toMatchObject({
        text: "Undone: b and 2 more.",
        detail: "Not covered, and left as it is: pipe.",
      });
      expect(done.changedAt).toBeGreaterThan(seq);
    });

    test("is undone with all that came after an earlier call, and stands again where that is undone", () => {
      const calls = ["t1", "t2"].map((id) => ({ type: "tool_use", id, name: "Bash", input: {} }));
      const message = { step: 1, model: "haiku", stop_reason: "tool_use", content: calls };
      const both: [string, unknown][] = [
        ...BEGUN,
        ["message.completed", message],
        ["workspace.changed", CHANGED],
        ["workspace.changed", { ...CHANGED, call_id: "t2" }],
      ];
      const back = (seq: number): [string, unknown][] => {
        const target = { kind: "seq", seq };
        const file = { path: "b", before: null, after: "1" };
        return [
          ["undo.requested", { principal: "ada", target }],
          ["workspace.reverted", { target, files: [file], refused: null }],
        ];
      };
      const [first, second] = [both.length - 1, both.length];
      const undone = fold(...events(...both, ...back(first)));
      expect(callOf(undone, "t1").undo).toMatchObject({ to: true, state: "done", by: "ada" });
      expect(callOf(undone, "t2").undo).toMatchObject({ state: "done", by: "ada" });
      expect(callOf(undone, "t2").undo).not.toHaveProperty("to");
      const again = fold(...events(...both, ...back(first), ...back(second)));
      expect(callOf(again, "t1").undo).toBeNull();
      expect(callOf(again, "t2").undo).toMatchObject({ to: true, state: "done" });
    });

    test("without a call is told where it happened", () => {
      const t = fold(...events(...BEGUN, ["workspace.changed", { ...CHANGED, call_id: null }]));
      expect(t.items.at(-1)).toMatchObject({ kind: "note", text: "Background jobs changed a." });
    });
  });

  test("a checkout, and what was handed over of it, are told of", () => {
    const made = {
      branch: "topic",
      base: "b".repeat(40),
      existing: false,
      default_branch: "main",
      uncommitted: 0,
      again: false,
    };
    const commits = [{ sha: "a".repeat(40), subject: "First step", files: 1 }];
    const handed = { branch: "topic", head: "a".repeat(40), commits, more: 1, detail: null };
    const told = fold(
      ...events(
        ["checkout.made", made],
        ["task.committed", { ...handed, outcome: "updated" }],
        ["task.committed", { ...handed, outcome: "diverged", detail: "Moved." }],
        ["checkout.skipped", { code: "no-repository", detail: "No commit." }],
      ),
    ).items;
    expect(
      told.map((item) => (item.kind === "note" ? [item.tone, item.text, item.detail] : [])),
    ).toEqual([
      ["plain", "At work in a checkout of its own, on the branch topic from main.", null],
      ["good", "2 commits are on the branch topic.", "aaaaaaaaaaaa First step"],
      [
        "bad",
        "2 commits could not be added to the moved branch topic.",
        "Moved.\naaaaaaaaaaaa First step",
      ],
      ["waiting", "No checkout of its own.", "No commit."],
    ]);
  });

  describe("an undo", () => {
    const target = { kind: "call", call_id: "t1", seq: 7 };
    const DONE: [string, unknown][] = [
      ...BEGUN,
      ASKED,
      ["tool.started", { step: 1, call_id: "t1", tool: "Edit", input: { file_path: "a" } }],
      [
        "tool.finished",
        {
          step: 1,
          call_id: "t1",
          tool: "Edit",
          outcome: "ok",
          content: [],
          evidence: [{ kind: "file_changed", path: "a", kept: true }],
          duration_ms: 1,
        },
      ],
      ["run.completed", { stop_reason: "end_turn", steps: 1, nanodollars: 0 }],
      ["undo.requested", { principal: "ada", target }],
      ["run.queued", { reason: "undo" }],
    ];
    const RUNS: [string, unknown] = ["run.started", { epoch: 2, worker: "w" }];
    const file = { path: "a", before: "1", after: "2" };
    const reverted = (refused: string | null): [string, unknown] => [
      "workspace.reverted",
      { target, files: refused ? [] : [file], refused },
    ];

    test("is asked for, and done", () => {
      const asked = fold(...events(...DONE));
      expect(callOf(asked).undo).toMatchObject({ state: "asked", by: "ada", why: null });
      expect(asked.run?.state).toBe("queued");
      const end: [string, unknown] = ["run.completed", { stop_reason: "undone", nanodollars: 0 }];
      const done = fold(...events(...DONE, RUNS, reverted(null), end));
      expect(callOf(done).undo).toMatchObject({ state: "done", by: "ada", why: null });
      expect(done.items.at(-1)).toMatchObject({ kind: "note", tone: "good", text: "Undone: a." });
      expect(done.undoing).toBeNull();
    });

    test("is refused once, with the reason, and can be asked for again", () => {
      const failed: [string, unknown] = [
        "run.failed",
        { code: "undo-refused", detail: "It changed.", nanodollars: 0 },
      ];
      const all = events(...DONE, RUNS, reverted("It changed."), failed, ...DONE.slice(-2));
      const refused = fold(...all.slice(0, -2));
      expect(callOf(refused).undo).toMatchObject({
        state: "refused",
        by: "ada",
        why: "It changed.",
      });
      expect(refused.items.filter((item) => item.kind === "note")).toHaveLength(1);
      expect(refused.run?.state).toBe("failed");
      expect(callOf(fold(...all)).undo?.state).toBe("asked");
    });

    test.each([
      ["run.cancelled", { principal: "bob", reason: null, nanodollars: 0 }, "Stopped by bob."],
      ["run.failed", { code: "unavailable", detail: "No volume.", nanodollars: 0 }, "No volume."],
    ])("that ended by %s was not done", (type, data, why) => {
      const t = fold(...events(...DONE, [type, data]));
      expect(callOf(t).undo).toMatchObject({ state: "refused", by: "ada", why });
      expect(t.undoing).toBeNull();
    });
  });

  test("words that a run did not come to read say so, until one does", () => {
    const stopped: [string, unknown] = [
      "run.cancelled",
      { principal: "ada", reason: null, nanodollars: 0 },
    ];
    const again: [string, unknown] = [
      "step.started",
      { step: 2, attempt: 1, input_seqs: [5], model: "haiku" },
    ];
    const missed = fold(...events(...BEGUN, SAID, stopped));
    expect(missed.items.find((i) => i.key === "s5")).toMatchObject({ read: false, missed: true });
    const read = fold(...events(...BEGUN, SAID, stopped, again));
    expect(read.items.find((i) => i.key === "s5")).toMatchObject({ read: true, missed: false });
  });

  test("an event that is known changes nothing, to the very object", () => {
    const all = events(...BEGUN);
    const once = fold(...all);
    expect(all.reduce(withEvent, once)).toBe(once);
  });

  test("a call goes from its message to its end", () => {
    const all = events(
      ...BEGUN,
      ASKED,
      ["step.completed", { step: 1, usage: USAGE, nanodollars: 4_100_000, duration_ms: 5 }],
      ["tool.started", { step: 1, call_id: "t1", tool: "Bash", input: { command: "ls" } }],
      [
        "tool.finished",
        {
          step: 1,
          call_id: "t1",
          tool: "Bash",
          outcome: "ok",
          content: [{ type: "tool_result", tool_use_id: "t1", content: "a b" }],
          evidence: [{ kind: "command_ran", command: "ls", exit_code: 0 }],
          duration_ms: 12,
        },
      ],
    );
    const states = all.map((_, n) => fold(...all.slice(0, n + 1)));
    expect(callOf(states[4] as Transcript).state).toBe("waiting");
    expect(callOf(states[6] as Transcript).state).toBe("running");
    expect(callOf(states[7] as Transcript)).toMatchObject({
      state: "done",
      outcome: "ok",
      durationMs: 12,
    });
    expect(answerOf(states[7] as Transcript)).toMatchObject({
      nanodollars: 4_100_000,
      usage: USAGE,
    });
  });

  test("what another worker takes over is streamed anew, and said", () => {
    const begun = fold(...events(...BEGUN));
    const half = withDelta(begun, delta({ text: "half a sen" }));
    const all = events(...BEGUN, ["run.started", { epoch: 2, worker: "x" }]);
    const next = withEvent(half, all.at(-1) as Envelope);
    expect(next.items.some((item) => item.kind === "answer")).toBe(false);
    expect(next.items.at(-1)).toMatchObject({ kind: "note", tone: "waiting" });
  });

  test("an interrupt is stopping until the run is cancelled", () => {
    const asked = events(...BEGUN, ["interrupt.requested", { principal: "ada", reason: null }]);
    expect(fold(...asked).stopping).toBe(true);
    const over = events(
      ...BEGUN,
      ["interrupt.requested", { principal: "ada", reason: null }],
      ["run.cancelled", { principal: "ada", reason: null, nanodollars: 0 }],
    );
    const t = fold(...over);
    expect(t.stopping).toBe(false);
    expect(t.run?.state).toBe("cancelled");
    expect(t.items.some((item) => item.kind === "answer")).toBe(false);
  });

  test("a limit that was reached is known while the run waits for it", () => {
    const figures = { scope: "task", limit: "dollars", used: 0.1, wanted: 0.2, allowed: 0.25 };
    const reached: [string, unknown][] = [
      ["budget.reached", figures],
      ["run.waiting", { reason: "task_dollars", detail: "Out of it.", retry_at: null }],
    ];
    const waiting = fold(...events(...BEGUN, ...reached));
    expect(waiting.run).toMatchObject({
      state: "waiting",
      reason: "task_dollars",
      reached: figures,
    });
    const raised: [string, unknown][] = [
      ["budget.raised", { principal: "ada", task: { nanodollars: 1e9 } }],
      ["run.queued", { reason: "resume" }],
    ];
    expect(fold(...events(...BEGUN, ...reached, ...raised)).run?.reached).toBeNull();
  });

  test("steps that were taken back are marked", () => {
    const t = fold(
      ...events(...BEGUN, ASKED, [
        "step.failed",
        { step: 2, reason: "refused", detail: "no", retry_at: null, withdrawn_steps: [1] },
      ]),
    );
    expect(answerOf(t).withdrawn).toBe(true);
    expect(t.items.at(-1)).toMatchObject({ kind: "note", tone: "bad" });
  });

  test("a request for approval is pending until somebody decides", () => {
    const asked: [string, unknown] = [
      "approval.requested",
      {
        approval_id: "p",
        call_id: "t1",
        tool: "Bash",
        input: { command: "ls" },
        call_digest: "d",
        reason: "mode",
        expires_at: "2026-11-27T00:00:00Z",
      },
    ];
    expect(callOf(fold(...events(...BEGUN, ASKED, asked))).approval).toMatchObject({
      id: "p",
      state: "pending",
    });
    const decided = fold(
      ...events(...BEGUN, ASKED, asked, [
        "approval.decided",
        { approval_id: "p", call_id: "t1", decision: "deny", principal: "ada", message: null },
      ]),
    );
    expect(callOf(decided).approval).toMatchObject({ state: "denied", by: "ada" });
  });

  test("a type that is not known is passed over", () => {
    const t = fold(...events(...BEGUN, ["something.new", {}]));
    expect(t.lastSeq).toBe(5);
  });
});

describe("deltas", () => {
  test("text grows, and code points count, not UTF-16 units", () => {
    let t = fold(...events(...BEGUN));
    t = withDelta(t, delta({ text: "a🙂" }));
    t = withDelta(t, delta({ offset: 2, text: "b" }));
    expect(answerOf(t).pieces[0]).toMatchObject({ type: "text", text: "a🙂b" });
  });

  test("words that come twice are not doubled", () => {
    let t = fold(...events(...BEGUN));
    t = withDelta(t, delta({ text: "hello" }));
    t = withDelta(t, delta({ offset: 2, text: "llo world" }));
    expect(answerOf(t).pieces[0]).toMatchObject({ text: "hello world" });
  });

  test("a call's input is seen while it is written, and its output while it runs", () => {
    let t = fold(...events(...BEGUN));
    t = withDelta(
      t,
      delta({ kind: "tool_input", block: 1, call_id: "t1", tool: "Bash", text: '{"com' }),
    );
    expect(callOf(t)).toMatchObject({ state: "writing", tool: "Bash" });
    const all = events(...BEGUN, ASKED, [
      "tool.started",
      { step: 1, call_id: "t1", tool: "Bash", input: { command: "ls" } },
    ]);
    t = all.slice(4).reduce(withEvent, t);
    t = withDelta(t, delta({ kind: "output", call_id: "t1", text: "one\n" }));
    t = withDelta(t, delta({ kind: "output", call_id: "t1", offset: 4, text: "two\n" }));
    expect(callOf(t)).toMatchObject({ state: "running", output: { text: "one\ntwo\n" } });
  });

  test("those of an older epoch, an older step and a complete message are void", () => {
    const done = fold(...events(...BEGUN, ASKED));
    expect(withDelta(done, delta({ text: "late" }))).toBe(done);
    expect(withDelta(done, delta({ epoch: 0, text: "late" }))).toBe(done);
    expect(withDelta(done, delta({ step: 0, text: "late" }))).toBe(done);
  });

  test("what did not change stays the same object", () => {
    const before = fold(...events(...BEGUN));
    const after = withDelta(before, delta({ text: "x" }));
    expect(after.items[0]).toBe(before.items[0]);
  });
});

test("the account of a task is no words of the conversation", () => {
  const t = fold(
    ...events(
      ...BEGUN,
      ["account.requested", { content: [] }],
      ["step.started", { step: 1, attempt: 1, input_seqs: [], model: "m" }],
      [
        "message.completed",
        {
          step: 1,
          model: "m",
          stop_reason: "end_turn",
          account: true,
          content: [{ type: "text", text: "{}" }],
        },
      ],
      ["step.completed", { step: 1, usage: USAGE, nanodollars: 5, duration_ms: 1 }],
      ["task.accounted", { account: null, missing: null }],
    ),
  );
  expect(t.items.filter((item) => item.kind === "answer")).toEqual([]);
  expect(t.nanodollars, "and is paid for").toBe(5);
});
