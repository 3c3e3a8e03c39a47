import { describe, expect, test } from "vitest";
import { figures, isLimit, type LimitReason, proposed, raising } from "./limit.ts";
import type { Reached } from "./protocol.ts";

function reached(more: Partial<Reached>): Reached {
  return { scope: "task", limit: "turns", used: 0, wanted: 0, allowed: 1, ...more };
}

describe("a limit that was reached", () => {
  test("is known by its reason", () => {
    for (const reason of ["turns", "context", "task_tokens", "task_minutes"])
      expect(isLimit(reason)).toBe(true);
    for (const reason of ["approval", "model", "day", "toString", null])
      expect(isLimit(reason)).toBe(false);
  });

  test.each<[LimitReason, Partial<Reached>, number]>([
    ["turns", { allowed: 4 }, 8],
    ["context", { allowed: 95_000, wanted: 99_000 }, 145_000],
    ["task_turns", { allowed: 1, used: 1, wanted: 1 }, 2],
    ["task_tokens", { allowed: 20_000, used: 15_000, wanted: 27_500 }, 43_000],
    ["task_dollars", { allowed: 0.01, used: 0.0049, wanted: 0.0301 }, 0.04],
    ["task_dollars", { allowed: 0.07 }, 0.14],
    ["task_minutes", { allowed: 0.25, used: 0.31 }, 0.5],
  ])("%s: what is proposed is enough for the next call", (reason, figured, value) => {
    const found = proposed(reason, reached(figured));
    expect(found).toBe(value);
    expect(found).toBeGreaterThanOrEqual((figured.used ?? 0) + (figured.wanted ?? 0));
  });

  test("is raised where it is: of the run, or of its task", () => {
    expect(raising("context", 9)).toEqual({ prompt_tokens: 9 });
    expect(raising("dollars", 0.5)).toEqual({ dollars: 0.5 });
    expect(raising("task_dollars", 0.5)).toEqual({ task: { dollars: 0.5 } });
    expect(raising("task_minutes", 30)).toEqual({ task: { minutes: 30 } });
  });

  test("of a run has its figures in the run, too", () => {
    const limits = { turns: 3, dollars: 1, prompt_tokens: 95_000 };
    expect(figures("context", limits)?.allowed).toBe(95_000);
    expect(figures("task_turns", limits)).toBeNull();
  });
});
