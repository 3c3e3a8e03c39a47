/** The lines of a difference in git's form, as a card shows them: the files, their hunks, what came and went. */
import type { Line } from "./Lines.tsx";

const CLASSES: Record<string, string> = { "+": "plus", "-": "minus", " ": "same" };
const SIGNS: Record<string, string> = { "+": "added", "-": "removed", " ": "unchanged" };
const HEADS = /^(index |--- |\+\+\+ )/;

export function differenceLines(text: string): Line[] {
  const lines: Line[] = [];
  let inHunk = false;
  for (const [number, line] of text.split("\n").entries()) {
    const sign = line[0] ?? "";
    if (line.startsWith("diff --git ")) {
      inHunk = false;
      lines.push({ key: number, text: fileOf(line), mark: null, className: "file" });
    } else if (line.startsWith("@@ ")) {
      inHunk = true;
      lines.push({ key: number, text: line, mark: null, className: "hunk" });
    } else if (inHunk && sign in CLASSES) {
      lines.push({
        key: number,
        text: line.slice(1),
        mark: sign,
        spoken: SIGNS[sign] ?? "",
        className: CLASSES[sign] ?? "",
      });
    } else if (line && !HEADS.test(line)) {
      lines.push({ key: number, text: line, mark: null, className: "hunk" });
    }
  }
  return lines;
}

/** The file that a head names: "diff --git a/x b/x" is about "x". */
function fileOf(head: string): string {
  const rest = head.slice("diff --git ".length);
  const plain = rest.slice(0, (rest.length - 1) / 2);
  return plain.startsWith("a/") && rest === `${plain} b/${plain.slice(2)}` ? plain.slice(2) : rest;
}
