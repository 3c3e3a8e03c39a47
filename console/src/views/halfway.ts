/**
 * Markdown that is still being written: what its last paragraph has opened is closed, so that marks do not
 * stand there as letters for a moment and then go.
 */
export function halfway(text: string): string {
  if (fenceOf(text)) return text;
  const begin = text.lastIndexOf("\n\n") + 1;
  const [head, tail] = [text.slice(0, begin), text.slice(begin)];
  const block = tail.trimStart();
  // A table is one only with its second line.
  if (block.startsWith("|") && !/^\|.*\n\s*\|?[\s:|-]+\|[\s:|-]*(\n|$)/.test(block)) return head;
  return head + closed(tail);
}

/** Whether a fenced block is open at the end. */
function fenceOf(text: string): boolean {
  let open: string | null = null;
  for (const [, fence = ""] of text.matchAll(/^ {0,3}(`{3,}|~{3,})/gm)) {
    if (open === null) open = fence;
    else if (fence.startsWith(open)) open = null;
  }
  return open !== null;
}

function closed(text: string): string {
  // A link or picture without its end is its words; a mark that has only just begun waits.
  let said = text
    .replace(/!?\[([^\][]*)\]\([^()\s]*$/, "$1")
    .replace(/!?\[([^\][]*)$/, "$1")
    .replace(/(^|\s)[*_~`]+$/, "$1");
  if (odd(said, /`+/g)) said += "`";
  const plain = said.replace(/`[^`]*`/g, "");
  for (const mark of ["**", "~~"]) {
    if ((plain.split(mark).length - 1) % 2) said = said.trimEnd() + mark;
  }
  return said;
}

function odd(text: string, mark: RegExp): boolean {
  return (text.match(mark)?.length ?? 0) % 2 === 1;
}
