/** How a conversation stands, in a word for the list: what its events say, else what the list says. */

import type { Transcript } from "./items.ts";
import type { ConversationView } from "./protocol.ts";
import type { Run } from "./run.ts";

export interface Standing {
  /** Names the look: a run's state, `asks` when a person has to do something, `empty` without a run. */
  look: Run["state"] | "asks" | "empty";
  words: string;
}

/** Reasons of a waiting run that a person can end. */
const ASKS: Record<string, string> = {
  approval: "needs a yes",
  turns: "needs more turns",
  dollars: "needs more dollars",
  context: "has grown too long",
  task_turns: "needs more turns",
  task_tokens: "needs more tokens",
  task_dollars: "needs more dollars",
  task_minutes: "needs more time",
};

const QUEUED: Record<string, string> = {
  delayed: "starts later",
  "volume-away": "its volume is away",
  workspace: "waits for its workspace",
  branch: "waits for its branch",
  after: "waits for another task",
};

export function standing(view: ConversationView, transcript: Transcript | undefined): Standing {
  const followed = transcript !== undefined && transcript.lastSeq >= view.last_seq;
  const run = followed ? transcript.run : view.run;
  if (run === null) return { look: "empty", words: "empty" };
  const reason = (followed ? run.reason : view.run?.reason) ?? "";
  switch (run.state) {
    case "queued":
      return { look: "queued", words: QUEUED[view.run?.reason ?? ""] ?? "waits for a worker" };
    case "running":
      return { look: "running", words: "at work" };
    case "waiting":
      return ASKS[reason]
        ? { look: "asks", words: ASKS[reason] }
        : { look: "waiting", words: reason === "day" ? "goes on tomorrow" : "waits for the model" };
    case "completed":
      return { look: "completed", words: "done" };
    case "failed":
      return { look: "failed", words: "failed" };
    case "cancelled":
      return { look: "cancelled", words: "stopped" };
  }
}
