/** Taking back what a call did to a file: the button, and what came of it. */
import { useRef } from "react";
import { useAttempt } from "../attempt.ts";
import type { Call } from "../call.ts";
import { useDesk, useSlice } from "../desk.ts";
import { newId } from "../letter.ts";
import { isOpen } from "../run.ts";
import { visible } from "../visible.ts";
import { given } from "./result.ts";

/** Whether the call changed a file and what that held before is kept. */
export function undoable(call: Call): boolean {
  return (
    call.state === "done" &&
    call.evidence.some((item) => item.kind === "file_changed" && item.kept === true)
  );
}

export function Undo({ call, conversation }: { call: Call; conversation: string }) {
  const desk = useDesk();
  const busy = useSlice((s) => isOpen(s.transcripts[conversation]?.run ?? null));
  const id = useRef(newId());
  const place = useRef<HTMLDivElement>(null);
  const { busy: sending, trouble, attempt } = useAttempt();
  const { undo } = call;
  const ask = async () => {
    const refused = await attempt(() => desk.undo(conversation, call.callId, id.current));
    // Nobody answered: asked again, it is the same undo.
    if (refused?.problem.status !== 0) id.current = newId();
    // The button goes; who came by keyboard stays where its answer is told.
    if (refused === null) place.current?.focus();
  };
  const said = wordsOf(undo);
  if (busy && said === null && trouble === null) return null;
  return (
    <div className="asked" ref={place} tabIndex={-1}>
      {said !== null && <p role="status">{said}</p>}
      {trouble && <p role="alert">{trouble}</p>}
      {!busy && undo?.state !== "done" && (
        <div className="row">
          <button
            type="button"
            disabled={sending}
            aria-label={`Undo ${call.tool} ${visible(given(call, "file_path"))}`}
            onClick={() => void ask()}
          >
            Undo
          </button>
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
      return `Undone by ${undo.by}.`;
    case "refused":
      return `Not undone. ${undo.why ?? ""}`;
  }
}
