/** What the run is doing; of one that waits: for what, and what can be done about it. */
import { useDesk, useSlice } from "../desk.ts";
import type { Transcript } from "../items.ts";
import { isLimit } from "../limit.ts";
import type { Run } from "../run.ts";
import { visible } from "../visible.ts";
import { clock, doing } from "../words_for_people.ts";
import { ModelKey } from "./ModelKey.tsx";
import { Raise } from "./Raise.tsx";

export function RunState({ id, transcript }: { id: string; transcript: Transcript }) {
  const desk = useDesk();
  const queued = useSlice((s) => s.conversations?.find((c) => c.id === id)?.run);
  const { run } = transcript;
  const detail =
    run?.state === "waiting" ? run.detail : run?.state === "queued" ? queued?.detail : null;
  return (
    <section className="doing" aria-label="The run">
      <p role="status">
        {doing(run, transcript.stopping)}
        {detail && <span className="faint"> {visible(detail)}</span>}
      </p>
      {run?.state === "waiting" && run.reason === "approval" && (
        <button type="button" onClick={() => showPending(transcript)}>
          Show what is asked
        </button>
      )}
      {run?.state === "waiting" && run.reason === "day" && run.retryAt && (
        <p className="faint">It goes on at {clock(run.retryAt)} by itself.</p>
      )}
      {waitsForModel(run) && <Model retryAt={run.retryAt} />}
      {run?.state === "waiting" && isLimit(run.reason) && (
        <>
          <Raise
            key={`${id}:${run.reason}:${run.reached?.allowed}`}
            conversation={id}
            reason={run.reason}
            reached={run.reached}
          />
          {run.reason === "context" && (
            <button type="button" onClick={() => void desk.open(null)}>
              Go on in a new chat
            </button>
          )}
        </>
      )}
    </section>
  );
}

/** Whether the run waits until the model answers, or until there is a key for it. */
export function waitsForModel(run: Run | null): run is Run {
  return run?.state === "waiting" && run.reason === "model";
}

/** When the model is asked again, and what can be done until then: give a key, where one is lacking. */
function Model({ retryAt }: { retryAt: string | null }) {
  // A service that has no key takes no message, and one whose model is away may not reach it either.
  const well = useSlice(
    (s) => s.ready?.parts.find((part) => part.name === "model")?.state === "ok",
  );
  return (
    <>
      {retryAt && (
        <p className="faint">
          It is tried again at {clock(retryAt)} by itself.{well && " A message tries it now."}
        </p>
      )}
      <ModelKey />
    </>
  );
}

/** Go to the first call that needs a yes. */
function showPending(transcript: Transcript): void {
  for (const item of transcript.items) {
    if (item.kind !== "answer") continue;
    for (const piece of item.pieces) {
      if (piece.type !== "call" || piece.approval?.state !== "pending") continue;
      const card = document.getElementById(`call-${piece.callId}`);
      card?.scrollIntoView({ block: "center" });
      card?.querySelector<HTMLElement>("fieldset button")?.focus();
      return;
    }
  }
}
