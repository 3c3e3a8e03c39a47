/** Taking back what a call did, or all that came after it: the buttons, and what came of it. */
import { useRef } from "react";
import { useAttempt } from "../attempt.ts";
import type { Call } from "../call.ts";
import { useDesk, useSlice } from "../desk.ts";
import { newId } from "../letter.ts";
import { isOpen } from "../run.ts";
import { visible } from "../visible.ts";
import { given } from "./result.ts";

/** Whether the call changed something, and what was there before is kept. */
export function undoable(call: Call): boolean {
  if (call.state !== "done") return false;
  if (call.evidence.some((item) => item.kind === "file_changed")) {
    return call.evidence.some((item) => item.kind === "file_changed" && item.kept === true);
  }
  return call.changes !== null && call.changes.missed === null && call.changes.files.length > 0;
}

export function Undo({ call, conversation }: { call: Call; conversation: string }) {
  const desk = useDesk();
  const busy = useSlice((s) => isOpen(s.transcripts[conversation]?.run ?? null));
  const since = useSlice((s) => s.transcripts[conversation]?.changedAt ?? 0);
  const id = useRef(newId());
  const place = useRef<HTMLDivElement>(null);
  const { busy: sending, trouble, attempt } = useAttempt();
  const { undo } = call;
  const seq = call.changes?.missed === null ? call.changes.seq : null;
  const later = seq !== null && since > seq;
  const ask = async (what: { call_id: string } | { to_seq: number }) => {
    const refused = await attempt(() => desk.undo(conversation, what, id.current));
    // Nobody answered: asked again, it is the same undo.
    if (refused?.problem.status !== 0) id.current = newId();
    // The button goes; who came by keyboard stays where its answer is told.
    if (refused === null) place.current?.focus();
  };
  const said = wordsOf(undo);
  const named = visible(given(call, "file_path") || given(call, "command").split("\n")[0] || "");
  if (busy && said === null && trouble === null) return null;
  return (
    <div className="asked" ref={place} tabIndex={-1}>
      {said !== null && <p role="status">{said}</p>}
      {trouble && <p role="alert">{trouble}</p>}
      {!busy && (later || undo?.state !== "done" || undo.to) && (
        <div className="row">
          {(undo?.state !== "done" || undo.to) && (
            <button
              type="button"
              disabled={sending}
              aria-label={`Undo ${call.tool} ${named}`}
              onClick={() => void ask({ call_id: call.callId })}
            >
              Undo
            </button>
          )}
          {later && seq !== null && (
            <button
              type="button"
              disabled={sending}
              title="Bring the workspace back to what it was right after this call"
              aria-label={`Undo to here: ${call.tool} ${named}`}
              onClick={() => void ask({ to_seq: seq })}
            >
              Undo to here
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function wordsOf(undo: Call["undo"]): string | null {
  switch (undo?.state) {
    case undefined:
      return null;
    case "asked":
      return "Undoing…";
    case "done":
      return undo.to ? `Brought back to here by ${undo.by}.` : `Undone by ${undo.by}.`;
    case "refused":
      return `Not undone. ${undo.why ?? ""}`;
  }
}
