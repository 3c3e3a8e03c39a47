import { describe, expect, test } from "vitest";
import { callOf, hasAnother, runningBash } from "./example.ts";
import { EMPTY, type Transcript } from "./items.ts";
import type { Envelope, ExampleView } from "./protocol.ts";
import { withEvent } from "./transcript.ts";

const NAMES = ["run.started", "step.started", "message.completed", "tool.started"];

/** A run of which a worker has started a call of `tool`; with `outcome`, the call has ended with it. */
function told(tool: string, outcome?: string): Transcript {
  const content = [{ type: "tool_use", id: "c1", name: tool, input: { command: "sleep 10" } }];
  const data: Record<string, unknown> = {
    "run.started": { epoch: 1, worker: "1" },
    "step.started": { step: 1, attempt: 1, input_seqs: [], model: "m" },
    "message.completed": { step: 1, model: "m", stop_reason: "tool_use", content },
    "tool.started": { step: 1, call_id: "c1", tool, input: { command: "sleep 10" } },
    "tool.finished": {
      step: 1,
      call_id: "c1",
      tool,
      outcome,
      content: [],
      evidence: [],
      duration_ms: 0,
    },
  };
  const names = outcome ? [...NAMES, "tool.finished"] : NAMES;
  return names.reduce(
    (before, type, index) =>
      withEvent(before, { seq: index + 1, at: "", type, data: data[type] } as unknown as Envelope),
    EMPTY,
  );
}

describe("the call that a worker is in the middle of", () => {
  test("is a Bash call that was started and has no end", () => {
    expect(runningBash(told("Bash"))?.callId).toBe("c1");
    expect(runningBash(told("Read"))).toBeNull();
    expect(runningBash(told("Bash", "unknown"))).toBeNull();
    expect(runningBash(EMPTY)).toBeNull();
  });

  test("is found again by its id, with what became of it", () => {
    expect(callOf(told("Bash", "unknown"), "c1")?.outcome).toBe("unknown");
    expect(callOf(told("Bash"), "another")).toBeNull();
  });
});

describe("the worker that takes over", () => {
  const played = (...states: string[]) =>
    ({
      workers: states.map((state, pid) => ({ pid, state, conversation_id: null })),
    }) as unknown as ExampleView;

  test("is there once it has started, free or at work", () => {
    expect(hasAnother(played("working", "idle"))).toBe(true);
    expect(hasAnother(played("working", "working"))).toBe(true);
  });

  test("is not there while it starts, nor when it is gone", () => {
    expect(hasAnother(played("working", "starting"))).toBe(false);
    expect(hasAnother(played("working"))).toBe(false);
    expect(hasAnother(played())).toBe(false);
  });
});
