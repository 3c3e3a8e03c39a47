/**
 * Letters: words that were not acknowledged yet. They are kept over reloads and lost connections and sent
 * again under the same id, so that they arrive once.
 */
import { read, write } from "./key.ts";

export interface Letter {
  id: string;
  conversation: string;
  text: string;
  /** Why the service does not take it; null while it is on its way. */
  refused: string | null;
  /** The refusal's code, for programs. */
  code?: string;
}

const NAME = "flynn.outbox";

export function readOutbox(): Letter[] {
  const kept = read(window.sessionStorage, NAME);
  if (kept === null) return [];
  try {
    return (JSON.parse(kept) as Letter[]).filter((letter) => typeof letter.id === "string");
  } catch {
    return [];
  }
}

export function keepOutbox(letters: readonly Letter[]): void {
  write(window.sessionStorage, NAME, letters.length ? JSON.stringify(letters) : null);
}

/** An id that no other message has. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
