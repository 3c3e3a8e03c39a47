import { expect, test } from "vitest";
import { EMPTY } from "./items.ts";
import type { ConversationView, Envelope } from "./protocol.ts";
import { standing } from "./standing.ts";
import { merged } from "./state.ts";
import { withEvent } from "./transcript.ts";

function view(id: string, at: string, run: unknown, last_seq = 3): ConversationView {
  return { id, created_at: at, run, last_seq } as unknown as ConversationView;
}

test("the list says how a conversation stands that is not followed", () => {
  const queued = view("a", "2026-01-01", { state: "queued", reason: "workspace" });
  expect(standing(queued, undefined).words).toBe("waits for its workspace");
  const after = view("a", "2026-01-01", { state: "queued", reason: "after" });
  expect(standing(after, undefined).words).toBe("waits for another task");
  const asks = view("a", "2026-01-01", { state: "waiting", reason: "approval" });
  expect(standing(asks, undefined)).toEqual({ look: "asks", words: "needs a yes" });
  expect(standing(view("a", "2026-01-01", null), undefined).look).toBe("empty");
});

test("events that are newer than the list have the word", () => {
  const before = view("a", "2026-01-01", { state: "running", reason: null });
  const ended = { seq: 4, type: "run.completed", at: "", data: { nanodollars: 1 } };
  const transcript = withEvent(EMPTY, ended as unknown as Envelope);
  expect(standing(before, transcript).words).toBe("done");
  expect(standing({ ...before, last_seq: 9 }, transcript).words).toBe("at work");
});

test("a page of the list goes into what is known", () => {
  const known = [view("b", "2026-01-02", null), view("a", "2026-01-01", null)];
  const newer = [view("c", "2026-01-03", null), view("b", "2026-01-02", { state: "running" })];
  const all = merged(newer, known);
  expect(all.map((c) => c.id)).toEqual(["c", "b", "a"]);
  expect(all[1]?.run?.state).toBe("running");
});
