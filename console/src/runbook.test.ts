import { describe, expect, test } from "vitest";
import { chapter } from "./runbook.ts";

const BOOK =
  "# Runbook\n\nWords.\n\n## Error rate\n\n**Means** it.\n\n### More\n\nof it\n\n## Disk\n\nFull.\n";

describe("a chapter of the runbook", () => {
  test("is all that stands beneath its heading", () => {
    expect(chapter("docs/runbook.md#error-rate", BOOK)).toBe("**Means** it.\n\n### More\n\nof it");
    expect(chapter("docs/runbook.md#disk", BOOK)).toBe("Full.");
  });

  test("that is not there is none", () => {
    for (const address of ["docs/runbook.md#nothing", "docs/runbook.md", ""])
      expect(chapter(address, BOOK)).toBeNull();
  });

  test("of the real one can be read on the page", () => {
    for (const name of ["errorrate", "latency", "disk", "queueage", "backupage"])
      expect(chapter(`docs/runbook.md#${name}`)).toMatch(/Means/);
  });
});
