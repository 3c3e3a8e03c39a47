/** What Read showed of a file: numbered lines, and what it says of them. */

export interface SourceLine {
  number: number;
  text: string;
}

export interface Source {
  lines: SourceLine[];
  /** Such as which lines of how many these are. */
  note: string | null;
}

const NOTE = /\n\n\[([^\n]*)\]$/;

/** The lines; null where the result is none of a text (a picture, a notebook, a failure). */
export function sourceIn(said: string): Source | null {
  const note = NOTE.exec(said);
  const lines: SourceLine[] = [];
  for (const line of (note ? said.slice(0, note.index) : said).split("\n")) {
    const parts = /^(\d+)\t(.*)$/s.exec(line);
    if (!parts) return null;
    lines.push({ number: Number(parts[1]), text: parts[2] ?? "" });
  }
  return { lines, note: note?.[1] ?? null };
}
