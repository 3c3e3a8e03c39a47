/**
 * The transcript: what the page shows of a conversation, folded from its events and deltas.
 *
 * Pure: every function gives a new transcript and leaves the old one alone, and what did not change stays the
 * same object, so that only what changed is drawn again. An event at or below `lastSeq` changes nothing.
 */
import { completedAnswer, newAnswer, streamed } from "./answer.ts";
import { answeredCall, askedCall, begunCall, endedCall } from "./call.ts";
import { asked, changed, notUndone, reverted } from "./changes.ts";
import {
  added,
  closedLive,
  type Item,
  note,
  type Transcript,
  withAnswer,
  withCall,
} from "./items.ts";
import type { Delta, Envelope } from "./protocol.ts";
import { isOpen, type Run, ran } from "./run.ts";
import { grown } from "./words.ts";

/** The transcript after `event`; the same one when it was known already. */
export function withEvent(before: Transcript, event: Envelope): Transcript {
  if (event.seq <= before.lastSeq) return before;
  return { ...after(before, event), lastSeq: event.seq };
}

function after(t: Transcript, event: Envelope): Transcript {
  switch (event.type) {
    case "message.sent":
      return added(t, {
        kind: "said",
        key: `s${event.seq}`,
        seq: event.seq,
        at: event.at,
        principal: event.data.principal,
        text: event.data.text,
        clientId: event.data.client_message_id,
        read: false,
        during: isOpen(t.run),
        missed: false,
      });
    case "run.queued":
      return { ...t, run: ran(t.run, "queued", null, null, null), stopping: false };
    case "run.started": {
      const again = t.run?.state === "running";
      const next = { ...closedLive(t), epoch: event.data.epoch, step: -1 };
      const started = { ...next, run: ran(t.run, "running", null, null, null) };
      return again
        ? added(started, note(event, "waiting", "Another worker took the run over.", null))
        : started;
    }
    case "budget.reached":
      return { ...t, run: t.run && { ...t.run, reached: event.data } };
    case "run.waiting":
      return {
        ...closedLive(t),
        run: ran(t.run, "waiting", event.data.reason, event.data.detail, event.data.retry_at),
      };
    case "run.completed":
      return ended(t, "completed", event.data.nanodollars, event.data.stop_reason, null);
    case "run.failed": {
      const { code, detail, nanodollars } = event.data;
      const over = ended(notUndone(t, detail), "failed", nanodollars, code, detail);
      // Why an undo was refused has been told with it.
      if (code === "undo-refused") return over;
      return added(over, note(event, "bad", "The run failed.", detail));
    }
    case "run.cancelled": {
      const { principal, reason, nanodollars } = event.data;
      const text = `Stopped by ${principal}.`;
      const over = ended(notUndone(t, text), "cancelled", nanodollars, null, reason);
      return added(over, note(event, "plain", text, reason));
    }
    case "interrupt.requested":
      return { ...t, stopping: t.run?.state === "running" };
    case "step.started":
      return begun(t, event);
    case "message.completed":
      if (event.data.account) return closedLive(t);
      return withAnswer(t, event.data.step, (a) => completedAnswer(a, event));
    case "step.completed": {
      const { step, nanodollars, usage } = event.data;
      const paid = { ...t, nanodollars: t.nanodollars + nanodollars };
      return withAnswer(paid, step, (a) => ({
        ...a,
        nanodollars: (a.nanodollars ?? 0) + nanodollars,
        usage,
      }));
    }
    case "step.failed":
      return failed(t, event);
    case "tool.started":
      return withCall(t, event.data.call_id, (c) => begunCall(c, event));
    case "tool.finished":
      return withCall(t, event.data.call_id, (c) => endedCall(c, event));
    case "approval.requested":
      return withCall(t, event.data.call_id, (c) => askedCall(c, event));
    case "approval.decided": {
      const { decision, principal } = event.data;
      const state = decision === "allow" ? "allowed" : "denied";
      return withCall(t, event.data.call_id, (c) => answeredCall(c, state, principal));
    }
    case "approval.expired":
      return withCall(t, event.data.call_id, (c) => answeredCall(c, "expired", null));
    case "budget.raised":
      return added(t, note(event, "plain", `${event.data.principal} raised the limits.`, null));
    case "mode.changed":
      return added(
        t,
        note(
          event,
          "plain",
          `${event.data.principal} changed the mode to ${event.data.mode}.`,
          null,
        ),
      );
    case "undo.requested":
      return asked(t, event);
    case "workspace.changed":
      return changed(t, event);
    case "workspace.reverted":
      return reverted(t, event);
    case "checkout.made": {
      const { branch, default_branch, existing, again } = event.data;
      const from = existing ? "" : ` from ${default_branch ?? event.data.base.slice(0, 12)}`;
      const made = again ? "The checkout was made anew" : "At work in a checkout of its own";
      return added(t, note(event, "plain", `${made}, on the branch ${branch}${from}.`, null));
    }
    case "checkout.skipped":
      return added(t, note(event, "waiting", "No checkout of its own.", event.data.detail));
    case "task.committed":
      return added(t, handedOver(event));
    case "task.reported":
      return added(t, {
        kind: "report",
        key: `r${event.seq}`,
        at: event.at,
        report: event.data.report,
      });
    default:
      return t;
  }
}

/** The transcript after words on the way. Those of an older epoch or step, and of complete blocks, are void. */
export function withDelta(t: Transcript, delta: Delta): Transcript {
  if (delta.kind === "output") {
    const callId = delta.call_id;
    if (callId === undefined || delta.epoch < t.epoch) return t;
    return withCall(t, callId, (c) =>
      c.state === "done" && !c.goesOn
        ? c
        : { ...c, output: grown(c.output, delta.offset, delta.text) },
    );
  }
  if (delta.epoch < t.epoch || (delta.epoch === t.epoch && delta.step < t.step)) return t;
  return withAnswer(t, delta.step, (answer) =>
    answer.live ? { ...answer, pieces: streamed(answer.pieces, delta) } : answer,
  );
}

function begun(t: Transcript, event: Envelope & { type: "step.started" }): Transcript {
  const taken = new Set(event.data.input_seqs);
  const items = t.items.map((item) =>
    item.kind === "said" && !item.read && taken.has(item.seq)
      ? { ...item, read: true, missed: false }
      : item,
  );
  return { ...t, items: [...items.filter(notEmpty), newAnswer(event)], step: event.data.step };
}

/** An answer of which nothing came is not shown. */
function notEmpty(item: Item): boolean {
  return item.kind !== "answer" || item.live || item.pieces.length > 0;
}

function failed(t: Transcript, event: Envelope & { type: "step.failed" }): Transcript {
  const { step, reason, detail, withdrawn_steps } = event.data;
  const gone = new Set(withdrawn_steps);
  const items = t.items
    .filter((item) => !(item.kind === "answer" && item.step === step && item.live))
    .map((item) =>
      item.kind === "answer" && gone.has(item.step) ? { ...item, withdrawn: true } : item,
    );
  const next = { ...t, items };
  // A lost worker is told of where the next one takes over.
  if (["cancelled", "truncated", "worker_lost"].includes(reason)) return next;
  const text = FAILED[reason] ?? "The model's answer did not come.";
  return added(next, note(event, reason === "refused" ? "bad" : "waiting", text, detail));
}

const FAILED: Record<string, string> = {
  refused: "The model declined.",
  unfit: "The agent's account of the task cannot be read.",
};

const OUTCOMES: Record<string, string> = {
  updated: "is on the branch",
  unchanged: "There is nothing to commit for the branch",
  diverged: "could not be added to the moved branch",
  kept: "could not be put on the branch",
  failed: "could not be handed over to the branch",
};

/** What was handed over: how many commits, and their subjects. */
function handedOver(event: Envelope & { type: "task.committed" }): Item {
  const { branch, commits, more, outcome, detail } = event.data;
  const count = commits.length + more;
  const said = OUTCOMES[outcome] ?? outcome;
  const verb = count === 1 ? said : said.replace(/^is /, "are ");
  const text =
    outcome === "unchanged"
      ? `${said} ${branch}.`
      : `${count === 0 ? "The work" : count === 1 ? "1 commit" : `${count} commits`} ${count === 0 ? said : verb} ${branch}.`;
  const subjects = commits.map((commit) => `${commit.sha.slice(0, 12)} ${commit.subject}`);
  const lines = [...(detail === null ? [] : [detail]), ...subjects];
  const good = outcome === "updated" || outcome === "unchanged";
  return note(event, good ? "good" : "bad", text, lines.length === 0 ? null : lines.join("\n"));
}

function ended(
  t: Transcript,
  state: Run["state"],
  nanodollars: number,
  reason: string | null,
  detail: string | null,
): Transcript {
  const closed = closedLive(t);
  return {
    ...closed,
    items: closed.items.map((item) =>
      item.kind === "said" && item.during && !item.read ? { ...item, missed: true } : item,
    ),
    stopping: false,
    run: { state, reason, detail, retryAt: null, nanodollars, reached: null },
  };
}
