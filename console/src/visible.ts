/**
 * Text that names something (a path, a command, a title, a person) as it is: characters that are not seen, or
 * that turn the order of others around, are shown by their number. Whoever reads a command must read what runs.
 */

/** C0 and C1 controls but tab and line feed, soft hyphen, zero-width and bidirectional controls, and tags. */
const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

export function visible(text: string): string {
  return text.replace(UNSEEN, (letter) => {
    const code = letter.codePointAt(0) ?? 0;
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** Prose keeps its marks of direction; what would turn around the words after it is shown by its number. */
export function unturned(text: string): string {
  return text.replace(/[\u202a-\u202e\u2066-\u2069]/g, visible);
}
