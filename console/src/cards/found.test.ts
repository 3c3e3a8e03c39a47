import { describe, expect, test } from "vitest";
import { foundIn } from "./found.ts";

describe("found", () => {
  test("paths, and what was left out", () => {
    const found = foundIn(
      "2 files with matches:\na.py\nb/c.py\n\n[2 files of 9 shown; go on with offset 2]",
      "paths",
    );
    expect(found.files.map((f) => f.path)).toEqual(["a.py", "b/c.py"]);
    expect(found.note).toBe("2 files of 9 shown; go on with offset 2");
  });

  test("paths of a Glob have no line that sums up", () => {
    expect(foundIn("a.py\nb/c.py", "paths").files).toHaveLength(2);
  });

  test("counts", () => {
    const found = foundIn("7 matching lines in 2 files:\na.py:5\nodd:name.py:2", "count");
    expect(found.files).toMatchObject([
      { path: "a.py", count: 5 },
      { path: "odd:name.py", count: 2 },
    ]);
  });

  test("lines, by file, with those around them", () => {
    const found = foundIn(
      "a-1.py-2-import os\na-1.py:3:import re:x\n--\na-1.py:9:end\nb.py:1:x",
      "content",
    );
    expect(
      found.files.map((f) => [f.path, f.lines.map((l) => [l.number, l.text, l.match])]),
    ).toEqual([
      [
        "a-1.py",
        [
          [2, "import os", false],
          [3, "import re:x", true],
          [9, "end", true],
        ],
      ],
      ["b.py", [[1, "x", true]]],
    ]);
  });

  test("words that are no list stand as they are", () => {
    expect(foundIn("No matches.", "content")).toMatchObject({ files: [], words: "No matches." });
    expect(foundIn("a.py:import os", "content")).toMatchObject({
      files: [],
      words: "a.py:import os",
    });
  });
});
