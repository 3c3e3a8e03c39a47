/** What Grep and Glob found, by file: read from the words that the model was given. */

export interface FoundLine {
  key: string;
  /** From 1; null where numbers were not asked for. */
  number: number | null;
  text: string;
  /** Whether the line matches; others stand around one that does. */
  match: boolean;
}

export interface FoundFile {
  path: string;
  lines: FoundLine[];
  /** Matching lines, where these were counted. */
  count: number | null;
}

export interface Found {
  files: FoundFile[];
  /** What the tool says of the result, such as what was left out. */
  note: string | null;
  /** Words of which no files can be read: shown as they are. */
  words: string | null;
}

export type FoundMode = "paths" | "content" | "count";

const NOTE = /\n\n\[([^\n]*)\]$/;
const NUMBERED = /^(.*?)([:-])(\d+)\2(.*)$/s;
const COUNTED = /^(.*):(\d+)$/s;

export function foundIn(said: string, mode: FoundMode): Found {
  const note = NOTE.exec(said);
  const lines = (note ? said.slice(0, note.index) : said).split("\n");
  const result: Found = { files: [], note: note?.[1] ?? null, words: null };
  if (lines.length === 1 && /^No (files match|matches)\.$/.test(lines[0] ?? ""))
    return { ...result, words: lines[0] ?? null };
  if (mode === "content") return contents(lines, result);
  // Grep begins with a line that sums up.
  const listed = /^[\d,]+ (matching lines?|files?) .*:$/.test(lines[0] ?? "")
    ? lines.slice(1)
    : lines;
  for (const line of listed) {
    const counted = mode === "count" ? COUNTED.exec(line) : null;
    result.files.push({
      path: counted?.[1] ?? line,
      lines: [],
      count: counted ? Number(counted[2]) : null,
    });
  }
  return result;
}

function contents(lines: string[], result: Found): Found {
  let file: FoundFile | null = null;
  for (const [index, line] of lines.entries()) {
    if (line === "--") continue;
    const known = file && numbered(line, file.path);
    if (file && known) {
      file.lines.push({ ...known, key: `${index}` });
      continue;
    }
    const parts = NUMBERED.exec(line);
    // Without numbers a path cannot be told from its line: the words stand as they are.
    if (!parts) return { ...result, files: [], words: lines.join("\n") };
    const [, path = "", mark, number, text = ""] = parts;
    file = { path, lines: [], count: null };
    file.lines.push({ key: `${index}`, number: Number(number), text, match: mark === ":" });
    result.files.push(file);
  }
  return result;
}

/** A line of a file whose path is known, whatever stands in either. */
function numbered(line: string, path: string): Omit<FoundLine, "key"> | null {
  if (!line.startsWith(path)) return null;
  const rest = /^([:-])(\d+)\1(.*)$/s.exec(line.slice(path.length));
  if (!rest) return null;
  return { number: Number(rest[2]), text: rest[3] ?? "", match: rest[1] === ":" };
}
