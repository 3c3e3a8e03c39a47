/** The items of a transcript, and how one of them is added or changed. Pure: what did not change stays the same. */
import type { Answer } from "./answer.ts";
import type { Call } from "./call.ts";
import type { Envelope, Report } from "./protocol.ts";
import type { Run } from "./run.ts";

export interface Said {
  kind: "said";
  key: string;
  seq: number;
  at: string;
  principal: string;
  text: string;
  clientId: string | null;
  /** Whether a step has taken the words up; until then the agent has not read them. */
  read: boolean;
  /** Whether the words were sent while a run was at work. */
  during: boolean;
  /** Whether that run ended before it had read them. */
  missed: boolean;
}

export interface Note {
  kind: "note";
  key: string;
  at: string;
  tone: "plain" | "good" | "bad" | "waiting";
  text: string;
  detail: string | null;
}

export interface Reported {
  kind: "report";
  key: string;
  at: string;
  report: Report;
}

export type Item = Said | Answer | Note | Reported;

export interface Transcript {
  lastSeq: number;
  items: Item[];
  run: Run | null;
  epoch: number;
  step: number;
  /** Somebody asked the run to stop, and it has not yet. */
  stopping: boolean;
  /** What the present run undoes: the call on whose card it is told, and who asked; null when it is the agent's. */
  undoing: { callId: string; by: string } | null;
  /** The seq of the last event that tells of a change of the workspace; 0 without one. */
  changedAt: number;
  /** What all answers have cost, also the account at the end, which is not shown as one. */
  nanodollars: number;
}

export const EMPTY: Transcript = {
  lastSeq: 0,
  items: [],
  run: null,
  epoch: -1,
  step: -1,
  stopping: false,
  undoing: null,
  changedAt: 0,
  nanodollars: 0,
};

/** Drop what was being streamed: it is streamed anew. */
export function closedLive(t: Transcript): Transcript {
  const live = t.items.some((item) => item.kind === "answer" && item.live);
  if (!live) return t;
  return { ...t, items: t.items.filter((item) => !(item.kind === "answer" && item.live)) };
}

export function note(
  event: Envelope,
  tone: Note["tone"],
  text: string,
  detail: string | null,
): Note {
  return { kind: "note", key: `n${event.seq}`, at: event.at, tone, text, detail };
}

export function added(t: Transcript, item: Item): Transcript {
  return { ...t, items: [...t.items, item] };
}

/** Change the latest answer of a step. */
export function withAnswer(
  t: Transcript,
  step: number,
  change: (answer: Answer) => Answer,
): Transcript {
  for (let i = t.items.length - 1; i >= 0; i -= 1) {
    const item = t.items[i];
    if (item?.kind === "answer" && item.step === step) return replaced(t, i, change(item));
  }
  return t;
}

/** Change a call, wherever it stands: the latest answers first. */
export function withCall(t: Transcript, callId: string, change: (call: Call) => Call): Transcript {
  for (let i = t.items.length - 1; i >= 0; i -= 1) {
    const item = t.items[i];
    if (item?.kind !== "answer") continue;
    const j = item.pieces.findIndex((p) => p.type === "call" && p.callId === callId);
    const call = item.pieces[j];
    if (call?.type !== "call") continue;
    const changed = change(call);
    if (changed === call) return t;
    const pieces = [...item.pieces];
    pieces[j] = changed;
    return replaced(t, i, { ...item, pieces });
  }
  return t;
}

export function replaced(t: Transcript, index: number, item: Item): Transcript {
  if (t.items[index] === item) return t;
  const items = [...t.items];
  items[index] = item;
  return { ...t, items };
}
