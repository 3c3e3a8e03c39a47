/** What an edit changed, line by line. */
import { structuredPatch } from "diff";
import { memo } from "react";
import { visible } from "../visible.ts";
import { Lines, Scrolled } from "./Lines.tsx";

/** Lines of a diff that are shown at once. */
const SHOWN = 400;

interface Changed {
  key: string;
  sign: "+" | "-" | " ";
  text: string;
  before: number | null;
  after: number | null;
}

export const Diff = memo(function Diff({
  before,
  after,
  path,
}: {
  before: string;
  after: string;
  path: string;
}) {
  const lines = linesOf(before, after);
  const shown = lines.slice(0, SHOWN);
  return (
    <Scrolled className="diff" label={`Changes of ${visible(path)}`}>
      <Lines
        marks="sign"
        lines={shown.map((line) => ({
          key: line.key,
          mark: line.sign,
          spoken: SIGNS[line.sign],
          text: line.text,
          className: CLASSES[line.sign],
        }))}
      />
      {lines.length > SHOWN && <p className="faint">… {lines.length - SHOWN} more lines</p>}
    </Scrolled>
  );
});

const CLASSES = { "+": "plus", "-": "minus", " ": "same" };
const SIGNS = { "+": "added", "-": "removed", " ": "unchanged" };

export function linesOf(before: string, after: string): Changed[] {
  const patch = structuredPatch("", "", ended(before), ended(after), "", "", { context: 3 });
  const lines: Changed[] = [];
  for (const hunk of patch.hunks) {
    let old = hunk.oldStart;
    let now = hunk.newStart;
    for (const text of hunk.lines) {
      const sign = text[0];
      if (sign !== "+" && sign !== "-" && sign !== " ") continue;
      lines.push({
        key: `${sign}${old}:${now}`,
        sign,
        text: text.slice(1),
        before: sign === "+" ? null : old,
        after: sign === "-" ? null : now,
      });
      if (sign !== "+") old += 1;
      if (sign !== "-") now += 1;
    }
  }
  return lines;
}

/** A text whose last line has its end, so that no line changes only for the want of one. */
function ended(text: string): string {
  return text && !text.endsWith("\n") ? `${text}\n` : text;
}
