import { expect, test } from "vitest";
import { differenceLines } from "./difference.ts";

const TEXT = `diff --git a/some file b/some file
--- a/some file\t
+++ b/some file\t
@@ -1,2 +1,2 @@
 same
-- old
++ new
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
`;

test("a difference is files, hunks, and lines with their signs", () => {
  const lines = differenceLines(TEXT).map((line) => [line.className, line.mark, line.text]);
  expect(lines).toEqual([
    ["file", null, "some file"],
    ["hunk", null, "@@ -1,2 +1,2 @@"],
    ["same", " ", "same"],
    ["minus", "-", "- old"],
    ["plus", "+", "+ new"],
    ["file", null, "run.sh"],
    ["hunk", null, "old mode 100644"],
    ["hunk", null, "new mode 100755"],
  ]);
});

test("a quoted name stands as it is", () => {
  expect(differenceLines('diff --git "a/\\303" "b/\\303"\n')[0]?.text).toBe('"a/\\303" "b/\\303"');
});
