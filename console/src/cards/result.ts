/** What a call asked for and what it gave, read from its JSON. */

import type { Call } from "../call.ts";
import type { Block, Json } from "../protocol.ts";

/** A text in the call's input, "" when it is not there (yet). */
export function given(call: Call, name: string): string {
  const input = call.input;
  if (input !== null && typeof input === "object" && !Array.isArray(input)) {
    const value: Json | undefined = input[name];
    if (typeof value === "string") return value;
    if (typeof value === "number") return String(value);
  }
  return "";
}

/** Whether the call's input has this flag up. */
export function flag(call: Call, name: string): boolean {
  const input = call.input;
  return (
    input !== null && typeof input === "object" && !Array.isArray(input) && input[name] === true
  );
}

/** The words of the result. */
export function words(call: Call): string {
  return blocks(call)
    .map((block) => (block.type === "text" ? String(block.text ?? "") : ""))
    .filter(Boolean)
    .join("\n");
}

/** The result's images: their digests. */
export function images(call: Call): string[] {
  return blocks(call).flatMap((block) => {
    const source = block.source;
    if (block.type !== "image" || source === null || typeof source !== "object") return [];
    if (Array.isArray(source) || typeof source.sha256 !== "string") return [];
    return [source.sha256];
  });
}

function blocks(call: Call): Block[] {
  const content = call.result[0]?.content;
  if (typeof content === "string") return [{ type: "text", text: content }];
  return Array.isArray(content) ? (content as unknown as Block[]) : [];
}
