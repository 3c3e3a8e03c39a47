import { expect, test } from "vitest";
import { sourceIn } from "./source.ts";

test("numbered lines, and which of how many they are", () => {
  expect(sourceIn("3\timport os\n4\t\n\n[lines 3 to 4 of 28; go on with offset 5]")).toEqual({
    lines: [
      { number: 3, text: "import os" },
      { number: 4, text: "" },
    ],
    note: "lines 3 to 4 of 28; go on with offset 5",
  });
});

test("what has no numbers is no source", () => {
  expect(sourceIn("nothing.txt does not exist.")).toBeNull();
  expect(sourceIn("[empty.txt is empty]")).toBeNull();
});
