/** What a terminal would have left on its screen, for a reader: colours stay, everything else goes. */

/** Strings for the terminal itself (titles, links, clipboards): OSC, DCS, SOS, PM, APC (ECMA-48, 5.6, 8.3). */
const STRINGS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
  /(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c|$)/g;
/** Control sequences that are no colours: the cursor, the screen, modes. */
const CONTROLS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*(?:[@-ln-~]|$)/g;
/** Escape sequences of two and three letters. */
const SHORT =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
  /\u001b(?:[ -/]+[0-~]|[0-Z\\-~])/g;
/** Colours with parts that are no numbers, which a reader of colours would leave standing. */
const ODD_COLOURS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
  /\u001b\[[0-9;]*[:<=>?][0-?]*m/g;

export function readable(text: string): string {
  const plain = text
    .replace(STRINGS, "")
    .replace(CONTROLS, "")
    .replace(ODD_COLOURS, "")
    .replace(SHORT, "");
  return backed(returned(plain));
}

/** What a carriage return wrote over is gone. */
function returned(text: string): string {
  if (!text.includes("\r")) return text;
  return text
    .split("\n")
    .map((line) => line.replace(/\r+$/, "").split("\r").at(-1) ?? "")
    .join("\n");
}

/** A backspace takes the letter before it away. */
function backed(text: string): string {
  if (!text.includes("\b")) return text;
  const left: string[] = [];
  for (const letter of text) {
    if (letter !== "\b") left.push(letter);
    else if (left.length && left.at(-1) !== "\n") left.pop();
  }
  return left.join("");
}
