import { describe, expect, test } from "vitest";
import { halfway } from "./halfway.ts";

describe("halfway", () => {
  test.each([
    ["plain words", "plain words"],
    ["a **bold", "a **bold**"],
    ["a **bold** word", "a **bold** word"],
    ["a **", "a "],
    ["see `co", "see `co`"],
    ["see `a**b` and", "see `a**b` and"],
    ["see [the notes](https://exa", "see the notes"],
    ["see [the no", "see the no"],
    ["see [the notes](https://example.com) now", "see [the notes](https://example.com) now"],
    ["before **x\n\nafter", "before **x\n\nafter"],
    ["```yaml\na: **b", "```yaml\na: **b"],
    ["```yaml\na: 1\n```\n\nthen **b", "```yaml\na: 1\n```\n\nthen **b**"],
    ["words\n\n| a | b |", "words\n"],
    ["words\n\n| a | b |\n|---|---|\n| 1 |", "words\n\n| a | b |\n|---|---|\n| 1 |"],
  ])("%j is shown as %j", (text, shown) => {
    expect(halfway(text)).toBe(shown);
  });
});
