/** The run of a conversation, as its newest event has it. */
import type { Reached } from "./protocol.ts";

export interface Run {
  state: "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled";
  reason: string | null;
  detail: string | null;
  retryAt: string | null;
  nanodollars: number;
  /** The limit that it waits for. */
  reached: Reached | null;
}

/** Whether a run is queued, at work or waiting. */
export function isOpen(run: Run | null): boolean {
  return run !== null && ["queued", "running", "waiting"].includes(run.state);
}

/** The run in another state; what it has cost stays. */
export function ran(
  run: Run | null,
  state: Run["state"],
  reason: string | null,
  detail: string | null,
  retryAt: string | null,
): Run {
  const reached = state === "waiting" ? (run?.reached ?? null) : null;
  return { state, reason, detail, retryAt, nanodollars: run?.nanodollars ?? 0, reached };
}
