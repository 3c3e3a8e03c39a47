/**
 * A field for the key of the model's API, for whoever may give one, while there is none or it is refused.
 * What is typed is sent to the service and kept nowhere on the page.
 */
import { type FormEvent, useEffect, useId, useState } from "react";
import { useDesk, useSlice } from "../desk.ts";
import type { ModelKeyView } from "../protocol.ts";
import { Refused } from "../rest.ts";

type Trouble = { words: string; unreachable: boolean };

export function ModelKey() {
  const desk = useDesk();
  const wanted = useSlice((s) =>
    Boolean(s.ready?.parts.some((part) => part.name === "model" && part.state !== "ok")),
  );
  const [held, setHeld] = useState<ModelKeyView | null>(null);
  const [checking, setChecking] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [taken, setTaken] = useState(false);
  const id = useId();

  useEffect(() => {
    if (!wanted) return;
    desk.rest.modelKey().then(setHeld, (error: unknown) => {
      // Not an admin, or nobody answers: then there is no field.
      if (!(error instanceof Refused)) throw error;
    });
  }, [desk, wanted]);

  const give = async (form: HTMLFormElement, unchecked: boolean) => {
    const key = String(new FormData(form).get("model-key") ?? "");
    setTrouble(null);
    setChecking(true);
    try {
      setHeld(await desk.giveModelKey(key, unchecked));
      form.reset();
      setTaken(true);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setTrouble({ words: error.message, unreachable: error.problem.status === 503 });
    } finally {
      setChecking(false);
    }
  };

  if (taken)
    return (
      <p role="status" className="note good">
        {held?.accepted ? "The key is accepted." : "The key is kept, unchecked."} Flynn can answer
        now.
      </p>
    );
  if (!wanted || held === null || !lacks(held)) return null;
  return (
    <form
      className="model-key"
      aria-label="Key of the model"
      onSubmit={(event: FormEvent<HTMLFormElement>) => {
        event.preventDefault();
        void give(event.currentTarget, false);
      }}
    >
      <label htmlFor={id}>API key of the model</label>
      <div className="row">
        <input
          id={id}
          name="model-key"
          type="password"
          autoComplete="off"
          spellCheck={false}
          required
          placeholder="sk-ant-…"
          aria-describedby={`${id}-help`}
          aria-invalid={trouble !== null}
        />
        <button type="submit" className="primary" disabled={checking}>
          {checking ? "Checking…" : "Use this key"}
        </button>
      </div>
      <p id={`${id}-help`} className="faint">
        It is tried at {held.address}, kept on the service's machine for its owner alone, and never
        shown again. ANTHROPIC_API_KEY in <code>.env</code> does the same.
      </p>
      {trouble && (
        <p role="alert" className="trouble">
          {trouble.words}{" "}
          {trouble.unreachable && (
            <button
              type="button"
              className="quiet"
              onClick={(event) => {
                if (event.currentTarget.form) void give(event.currentTarget.form, true);
              }}
            >
              Keep it unchecked
            </button>
          )}
        </p>
      )}
    </form>
  );
}

/** Whether a key given here would help: there is none, or the stored one is refused. */
export function lacks(held: ModelKeyView): boolean {
  return held.source === "none" || (held.source === "stored" && held.accepted === false);
}
