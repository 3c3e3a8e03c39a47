import { describe, expect, test } from "vitest";
import { readable } from "./escapes.ts";

const ESC = "\u001b";

describe("readable", () => {
  test("colours stay", () => {
    expect(readable(`${ESC}[1;31mred${ESC}[0m`)).toBe(`${ESC}[1;31mred${ESC}[0m`);
  });

  test.each([
    [`${ESC}]8;;javascript:alert(1)\u0007click${ESC}]8;;\u0007`, "click"],
    [`${ESC}]8;;https://x.example${ESC}\\link${ESC}]8;;${ESC}\\`, "link"],
    [`${ESC}]0;title\u0007words`, "words"],
    [`${ESC}[2J${ESC}[1;1Hwords${ESC}[?25l`, "words"],
    [`${ESC}Pq#0;2;0;0;0~${ESC}\\words`, "words"],
    [`${ESC}(Bwords${ESC}7`, "words"],
    [`words${ESC}[4:3m`, "words"],
    ["\u009b2Jwords", "words"],
    ["10 %\r50 %\r100 %\n", "100 %\n"],
    ["ab\bc", "ac"],
    [`never ended ${ESC}]0;title`, "never ended "],
  ])("%j is read as %j", (text, left) => {
    expect(readable(text)).toBe(left);
  });
});
