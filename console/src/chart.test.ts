import { describe, expect, test } from "vitest";
import { lines, summary, top } from "./chart.ts";

const of = (...values: (number | null)[]) => ({ name: "queue", values });

describe("the axis", () => {
  test("ends with a round number above all values", () => {
    expect(top([of(0.003, null), of(0.0071)])).toBeCloseTo(0.01);
    expect(top([of(17)])).toBe(20);
    expect(top([of(20)])).toBe(20);
    expect(top([of(21)])).toBe(25);
    expect(top([of(999)])).toBe(1000);
  });

  test("is there without a value, and for zeros alone", () => {
    expect(top([])).toBe(1);
    expect(top([of(0, null, 0)])).toBe(1);
  });
});

describe("lines", () => {
  const at = [0, 15_000, 30_000, 45_000];

  test("go through all values, from the first time to the last", () => {
    expect(lines(at, [0, 1, 2, 1], 2, 15_000)).toEqual([
      [
        { x: 0, y: 0 },
        { x: 1 / 3, y: 0.5 },
        { x: 2 / 3, y: 1 },
        { x: 1, y: 0.5 },
      ],
    ]);
  });

  test("break where a value is not known", () => {
    expect(lines(at, [1, null, 1, 1], 2, 15_000).map((line) => line.length)).toEqual([1, 2]);
  });

  test("break where nobody took a sample", () => {
    expect(
      lines([0, 15_000, 60_000, 75_000], [1, 1, 1, 1], 2, 15_000).map((l) => l.length),
    ).toEqual([2, 2]);
  });

  test("are none without values", () => {
    expect(lines([], [], 1, 15_000)).toEqual([]);
  });

  test("of one value stand at the beginning", () => {
    expect(lines([5], [1], 1, 15_000)).toEqual([[{ x: 0, y: 1 }]]);
  });
});

describe("the words for a chart", () => {
  const at = ["2026-11-26T10:00:00Z", "2026-11-26T10:00:15Z", "2026-11-26T10:00:30Z"];
  const say = (value: number) => `${value} s`;

  test("say the last value and the largest", () => {
    expect(summary([of(1, 9, 2)], at, say)).toMatch(/^queue: 2 s last, at most 9 s at .+\.$/);
  });

  test("pass over what is not known, and say so when nothing is", () => {
    expect(summary([of(4, null, null)], at, say)).toContain("4 s last");
    expect(summary([of(null, null, null)], at, say)).toBe("queue: not known.");
    expect(summary([of(0, 0, 0)], at, say)).toBe("queue: 0 s all the time.");
    expect(summary([], [], say)).toBe("There is nothing to show yet.");
  });
});
