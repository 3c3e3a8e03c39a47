import { describe, expect, test } from "vitest";
import type { TaskView } from "./protocol.ts";
import { spending } from "./spending.ts";

const TASK: TaskView = {
  id: "t",
  budget: { turns: null, tokens: null, dollars: null, minutes: null },
  spent: { turns: 3, tokens: 12_345, dollars: 0.0123, minutes: 1.25 },
  branch: null,
  deadline: null,
  ended_at: null,
};

describe("what a task has used", () => {
  test("stands alone where nothing bounds it", () => {
    expect(spending(TASK)).toEqual(["3 turns", "12,345 tokens", "$0.012", "1.3 minutes at work"]);
  });

  test("stands beside what it may use", () => {
    const budget = { turns: 40, tokens: 200_000, dollars: 1.5, minutes: 30 };
    expect(spending({ ...TASK, budget })).toEqual([
      "3 of 40 turns",
      "12,345 of 200,000 tokens",
      "$0.012 of $1.50",
      "1.3 of 30 minutes at work",
    ]);
  });

  test("is not rounded to nought, nor its limit to another one", () => {
    const budget = { turns: null, tokens: null, dollars: 0.0005, minutes: null };
    const spent = { turns: 1, tokens: 0, dollars: 0.00031, minutes: 0.02 };
    expect(spending({ ...TASK, budget, spent }).slice(2)).toEqual([
      "$0.0003 of $0.0005",
      "0.02 minutes at work",
    ]);
    const none = { ...TASK, budget, spent: { ...spent, dollars: 0, minutes: 0 } };
    expect(spending(none).slice(2)).toEqual(["$0.00 of $0.0005", "0.0 minutes at work"]);
  });

  test("is said with the branch, and with the deadline until it is over", () => {
    const told = { ...TASK, branch: "topic\u202e", deadline: "2031-05-06T07:08:09Z" };
    const [branch, deadline, ...more] = spending(told).slice(4);
    expect(branch).toBe("branch topic\u27e8U+202E\u27e9".normalize());
    expect(deadline).toMatch(/^until .*6/);
    expect(more).toEqual([]);
    expect(spending({ ...told, ended_at: "2031-05-06T07:00:00Z" }).slice(4)).toHaveLength(1);
  });
});
