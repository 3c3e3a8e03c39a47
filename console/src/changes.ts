/** Changes of the workspace and their undoing, as the cards of calls and the transcript tell of them. Pure. */
import type { Undo } from "./call.ts";
import { added, note, type Transcript, withCall } from "./items.ts";
import type { Envelope, GitMoved, Undone } from "./protocol.ts";

/** What a call changed, by snapshots; without a call, background jobs did it until the run stopped. */
export function changed(
  t: Transcript,
  event: Envelope & { type: "workspace.changed" },
): Transcript {
  const { call_id, files, more, uncovered, uncovered_more, git, diff_bytes, diff_cut, missed } =
    event.data;
  const next = missed === null ? { ...t, changedAt: event.seq } : t;
  if (call_id === null) {
    const names = files.map((file) => file.path).join(", ");
    const text = missed === null ? `Background jobs changed ${names}.` : "A change is not covered.";
    return added(next, note(event, "plain", text, missed));
  }
  return withCall(next, call_id, (c) => ({
    ...c,
    changes: {
      seq: event.seq,
      files,
      more,
      uncovered,
      uncoveredMore: uncovered_more,
      git: moved(git ?? null),
      diffBytes: diff_bytes,
      diffCut: diff_cut,
      missed,
    },
  }));
}

/** What git did, such as "HEAD: main → feature/x, 1a2b3c4 → 5d6e7f8"; a commit is not undone with files. */
export function moved(git: GitMoved | null): string {
  if (git === null) return "";
  const branch = [git.head_before, git.head].map(named);
  const commit = [git.commit_before, git.commit].map((sha) => sha?.slice(0, 7) ?? "no commit");
  const said = [branch, commit]
    .filter(([before, now]) => before !== now)
    .map(([before, now]) => `${before} → ${now}`);
  // Of one without a branch HEAD is the commit.
  if (said.length) return `HEAD: ${[...new Set(said)].join(", ")}`;
  return git.refs ? "other branches or tags changed" : "what is staged changed";
}

/** A branch by its name, a commit by its beginning. */
function named(head: string | null): string {
  if (head === null) return "no repository";
  const ref = head.replace(/^ref:\s*/, "").replace(/^refs\/heads\//, "");
  return /^[0-9a-f]{40,64}$/.test(ref) ? ref.slice(0, 7) : ref;
}

/** Somebody wants a call, or all that came after it, to be taken back. */
export function asked(t: Transcript, event: Envelope & { type: "undo.requested" }): Transcript {
  const { principal, target } = event.data;
  const callId = undoneCall(t, target);
  const to = target.kind === "seq";
  return withCall({ ...t, undoing: { callId, by: principal } }, callId, (c) => ({
    ...c,
    undo: { ...(to && { to }), state: "asked", by: principal, at: event.seq, why: null },
  }));
}

/** What came of an undo: its call says so, and the transcript does where it happened. */
export function reverted(
  t: Transcript,
  event: Envelope & { type: "workspace.reverted" },
): Transcript {
  const { target, files, refused, more, left } = event.data;
  const undone = refused === null && (files.length > 0 || (left ?? []).length > 0);
  const by = t.undoing?.by ?? "";
  const over = { ...t, undoing: null, changedAt: undone ? event.seq : t.changedAt };
  const since = target.kind === "seq" && refused === null ? target.seq : null;
  const next = withCall(
    since === null ? over : broughtBack(over, since, by, event.seq),
    undoneCall(t, target),
    (c) => ({
      ...c,
      undo: {
        ...(target.kind === "seq" && { to: true }),
        state: refused === null ? "done" : "refused",
        by,
        at: event.seq,
        why: refused,
      },
    }),
  );
  if (refused !== null) return added(next, note(event, "bad", "The undo was refused.", refused));
  const names = files.map((file) => file.path).join(", ") || "nothing was left to undo";
  const others = more ? ` and ${more} more` : "";
  const stays = (left ?? []).length ? `Not covered, and left as it is: ${left.join(", ")}.` : null;
  return added(next, note(event, "good", `Undone: ${names}${others}.`, stays));
}

/** All is as it was right after `seq`: later calls are undone, and undos of earlier ones that came later are void. */
function broughtBack(t: Transcript, seq: number, by: string, at: number): Transcript {
  const items = t.items.map((item) => {
    if (item.kind !== "answer") return item;
    const pieces = item.pieces.map((piece) => {
      if (piece.type !== "call" || piece.changes === null || piece.changes.missed !== null)
        return piece;
      if (piece.changes.seq > seq)
        return { ...piece, undo: { state: "done", by, at, why: null } satisfies Undo };
      return piece.undo !== null && piece.undo.at > seq ? { ...piece, undo: null } : piece;
    });
    return pieces.some((piece, i) => piece !== item.pieces[i]) ? { ...item, pieces } : item;
  });
  return { ...t, items };
}

/** The call on whose card an undo is told; "" when no card has that place in the log. */
function undoneCall(t: Transcript, target: Undone): string {
  if (target.kind === "call") return target.call_id;
  for (const item of t.items) {
    if (item.kind !== "answer") continue;
    for (const piece of item.pieces) {
      if (piece.type === "call" && piece.changes?.seq === target.seq) return piece.callId;
    }
  }
  return "";
}

/** The run of an undo ended without a word of what came of it. */
export function notUndone(t: Transcript, why: string | null): Transcript {
  if (t.undoing === null) return t;
  return withCall({ ...t, undoing: null }, t.undoing.callId, (c) => ({
    ...c,
    undo: c.undo && { ...c.undo, state: "refused", why },
  }));
}
