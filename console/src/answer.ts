/** One answer of the model, as the page shows it: prose and calls, while they are written and when complete. */
import { type Call, newCall } from "./call.ts";
import type { Block, Delta, Envelope, Usage } from "./protocol.ts";
import { grown, NO_WORDS, type Words } from "./words.ts";

export interface Prose {
  type: "text" | "thinking";
  text: string;
  streaming: Words | null;
}

export type Piece = Prose | Call;

/** One model call and what it asked for. */
export interface Answer {
  kind: "answer";
  key: string;
  step: number;
  model: string;
  at: string;
  pieces: Piece[];
  live: boolean;
  withdrawn: boolean;
  nanodollars: number | null;
  usage: Usage | null;
}

/** The answer that a step will give. */
export function newAnswer(event: Envelope & { type: "step.started" }): Answer {
  return {
    kind: "answer",
    key: `a${event.seq}`,
    step: event.data.step,
    model: event.data.model,
    at: event.at,
    pieces: [],
    live: true,
    withdrawn: false,
    nanodollars: null,
    usage: null,
  };
}

/** The answer as its complete message has it; of calls, what is known already stays. */
export function completedAnswer(
  answer: Answer,
  event: Envelope & { type: "message.completed" },
): Answer {
  const pieces: Piece[] = [];
  for (const block of event.data.content) {
    const piece = pieceOf(block, answer.pieces);
    if (piece) pieces.push(piece);
  }
  return { ...answer, live: false, model: event.data.model, pieces };
}

/** The pieces after words on the way. */
export function streamed(pieces: Piece[], delta: Delta): Piece[] {
  const next = [...pieces];
  while (next.length < delta.block) next.push({ type: "text", text: "", streaming: NO_WORDS });
  const piece = next[delta.block];
  if (delta.kind === "tool_input") {
    const call =
      piece?.type === "call"
        ? piece
        : newCall(delta.call_id ?? "", delta.tool ?? "", null, NO_WORDS);
    next[delta.block] = {
      ...call,
      writing: grown(call.writing ?? NO_WORDS, delta.offset, delta.text),
    };
    return next;
  }
  const type = delta.kind === "thinking" ? "thinking" : "text";
  const known = piece && piece.type === type && piece.streaming ? piece.streaming : NO_WORDS;
  const words = grown(known, delta.offset, delta.text);
  next[delta.block] = { type, text: words.text, streaming: words };
  return next;
}

function pieceOf(block: Block, before: Piece[]): Piece | null {
  if (block.type === "text")
    return { type: "text", text: String(block.text ?? ""), streaming: null };
  if (block.type === "thinking") {
    const text = String(block.thinking ?? "");
    return text ? { type: "thinking", text, streaming: null } : null;
  }
  if (block.type === "tool_use") {
    const id = String(block.id);
    const known = before.find((p): p is Call => p.type === "call" && p.callId === id);
    const call = known ?? newCall(id, String(block.name), null, null);
    return {
      ...call,
      tool: String(block.name),
      input: block.input ?? null,
      writing: null,
      state: "waiting",
    };
  }
  return null;
}
