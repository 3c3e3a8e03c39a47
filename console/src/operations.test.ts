import { describe, expect, test } from "vitest";
import {
  age,
  amount,
  bytes,
  dollars,
  dollarsPerMinute,
  type Point,
  rate,
  ratio,
  seconds,
  troubledModels,
} from "./operations.ts";

describe("figures in words", () => {
  test("what is not known is a dash, never a nought", () => {
    for (const said of [ratio(null), seconds(null), age(null), bytes(null)]) expect(said).toBe("–");
  });

  test("ratios are per cent, small ones with a decimal", () => {
    expect([0, 0.004, 0.0999, 0.5, 1].map(ratio)).toEqual([
      "0 %",
      "0.4 %",
      "10.0 %",
      "50 %",
      "100 %",
    ]);
  });

  test("rates keep two digits that matter", () => {
    expect([0, 0.0666, 1.26, 33.4].map(rate)).toEqual(["0", "0.067", "1.3", "33"]);
  });

  test("ages are in the unit that fits", () => {
    expect([5, 119, 600, 8000, 200_000].map(age)).toEqual([
      "5 s",
      "119 s",
      "10 min",
      "2 h",
      "2 days",
    ]);
  });

  test("bytes are in steps of a thousand", () => {
    expect([512, 1500, 250e6, 3.2e9].map(bytes)).toEqual(["512 B", "1.5 KB", "250 MB", "3.2 GB"]);
  });

  test("latencies and money", () => {
    expect(seconds(0.0317)).toBe("32 ms");
    expect([0, 0.00123, 0.025, 2.5].map(dollars)).toEqual(["$0", "$0.0012", "$0.025", "$2.50"]);
  });

  test("of what can be counted there is no half, but on an axis", () => {
    expect([0, 2, 1.25].map(amount)).toEqual(["0", "2", "1.3"]);
  });
});

test("what a slot cost is shown as a minute would", () => {
  const point = (cost: number) => ({ dollars: cost }) as Point;
  expect(dollarsPerMinute([point(0.25), point(0)], 15)).toEqual([1, 0]);
});

test("models that do not answer are named", () => {
  expect(troubledModels({ haiku: "closed" })).toBeNull();
  expect(troubledModels({ haiku: "half_open", opus: "open", sonnet: "closed" })).toBe(
    "haiku is half open, opus is open",
  );
});
