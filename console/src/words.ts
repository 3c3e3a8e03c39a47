/** Text that grows by deltas, whose offsets count code points. */
export interface Words {
  text: string;
  /** Code points in `text`. */
  length: number;
  /** Offset of the first code point of `text`: of a long output only the end is kept by the service. */
  start: number;
}

export const NO_WORDS: Words = { text: "", length: 0, start: 0 };

/** Most UTF-16 units kept of one block that is being streamed: what is complete comes with its event. */
const MOST = 400_000;

function points(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** `words` with a delta at `offset`: appended, or put over what was there. */
export function grown(words: Words, offset: number, text: string): Words {
  const end = words.start + words.length;
  if (offset > end || offset < words.start) {
    // Something was lost, or the service kept the end only: go on from here.
    return { text, length: points(text), start: offset };
  }
  let kept = words.text;
  let length = words.length;
  if (offset < end) {
    kept = Array.from(kept)
      .slice(0, offset - words.start)
      .join("");
    length = offset - words.start;
  }
  const next = { text: kept + text, length: length + points(text), start: words.start };
  return next.text.length > MOST ? shortened(next) : next;
}

function shortened(words: Words): Words {
  const all = Array.from(words.text);
  const cut = all.length - MOST / 2;
  return { text: all.slice(cut).join(""), length: all.length - cut, start: words.start + cut };
}
