/** A tool call, as the page shows it: what its events and its output make of it. Pure, as the transcript is. */
import type { Block, ChangedPath, Envelope, Evidence, Json, Outcome } from "./protocol.ts";
import { NO_WORDS, type Words } from "./words.ts";

export interface Approval {
  id: string;
  callDigest: string;
  reason: string;
  expiresAt: string;
  state: "pending" | "allowed" | "denied" | "expired";
  by: string | null;
}

/** What snapshots tell of a call, and the seq of the event that does. `missed`: why they tell nothing. */
export interface Changes {
  seq: number;
  files: ChangedPath[];
  more: number;
  uncovered: { path: string; why: string }[];
  uncoveredMore: number;
  /** What became of git's HEAD, branches and index, in words; "" when nothing did. */
  git: string;
  diffBytes: number;
  diffCut: boolean;
  missed: string | null;
}

/** An undo of a call, by itself or with all that came after an earlier one, or (`to`) of all that came after it:
 *  asked for, done, or refused with the reason. One that was refused can be asked for again. */
export interface Undo {
  to?: boolean;
  state: "asked" | "done" | "refused";
  by: string;
  /** The seq of the event that says so. */
  at: number;
  why: string | null;
}

/** A tool call, from the first letter of its input to its result. */
export interface Call {
  type: "call";
  callId: string;
  tool: string;
  input: Json;
  /** The input while it is being written. */
  writing: Words | null;
  state: "writing" | "waiting" | "running" | "done";
  output: Words;
  outcome: Outcome | null;
  result: Block[];
  evidence: Evidence[];
  durationMs: number;
  startedAt: string | null;
  approval: Approval | null;
  undo: Undo | null;
  changes: Changes | null;
  /** A background job: its output goes on after its call. */
  goesOn: boolean;
}

export function newCall(callId: string, tool: string, input: Json, writing: Words | null): Call {
  return {
    type: "call",
    callId,
    tool,
    input,
    writing,
    state: writing ? "writing" : "waiting",
    output: NO_WORDS,
    outcome: null,
    result: [],
    evidence: [],
    durationMs: 0,
    startedAt: null,
    approval: null,
    undo: null,
    changes: null,
    goesOn: false,
  };
}

/** The call once a worker has begun with it. */
export function begunCall(call: Call, event: Envelope & { type: "tool.started" }): Call {
  return {
    ...call,
    tool: event.data.tool,
    input: event.data.input,
    writing: null,
    state: "running",
    startedAt: event.at,
  };
}

/** The call with its result. */
export function endedCall(call: Call, event: Envelope & { type: "tool.finished" }): Call {
  const goesOn = event.data.evidence.some((e) => e.kind === "job_started");
  return {
    ...call,
    state: "done",
    writing: null,
    outcome: event.data.outcome,
    result: event.data.content,
    evidence: event.data.evidence,
    durationMs: event.data.duration_ms,
    output: goesOn ? call.output : NO_WORDS,
    goesOn,
  };
}

/** The call while somebody's yes is awaited. */
export function askedCall(call: Call, event: Envelope & { type: "approval.requested" }): Call {
  return {
    ...call,
    input: event.data.input,
    state: "waiting",
    approval: {
      id: event.data.approval_id,
      callDigest: event.data.call_digest,
      reason: event.data.reason,
      expiresAt: event.data.expires_at,
      state: "pending",
      by: null,
    },
  };
}

/** The call with what came of the question; `by` is null when nobody answered. */
export function answeredCall(call: Call, state: Approval["state"], by: string | null): Call {
  return { ...call, approval: call.approval && { ...call.approval, state, by } };
}
