/** Raising the limit that a run, or its task, has reached. */
import { useEffect, useState } from "react";
import { useAttempt } from "../attempt.ts";
import { useDesk } from "../desk.ts";
import { asked, figures, type LimitReason, proposed, raising } from "../limit.ts";
import type { Reached } from "../protocol.ts";
import { Trouble } from "./Trouble.tsx";

interface Props {
  conversation: string;
  reason: LimitReason;
  reached: Reached | null;
}

export function Raise({ conversation, reason, reached }: Props) {
  const desk = useDesk();
  const { label, step } = asked(reason);
  const [wanted, setWanted] = useState(() => (reached ? String(proposed(reason, reached)) : ""));
  const { busy, trouble, attempt } = useAttempt();
  useEffect(() => {
    if (reached) return;
    let gone = false;
    desk.rest.conversation(conversation).then(
      (view) => {
        const now = view.run && figures(reason, view.run.limits);
        if (!gone && now) setWanted((typed) => typed || String(proposed(reason, now)));
      },
      () => undefined, // without a proposal the field stays empty
    );
    return () => {
      gone = true;
    };
  }, [desk, conversation, reason, reached]);
  const raise = () =>
    attempt(() => desk.rest.raiseBudget(conversation, raising(reason, Number(wanted))));
  return (
    <form
      className="row raise"
      onSubmit={(event) => {
        event.preventDefault();
        void raise();
      }}
    >
      <label>
        {label}
        <input
          type="number"
          min={step}
          step={step}
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
        />
      </label>
      <button type="submit" className="primary" disabled={busy || !(Number(wanted) > 0)}>
        Raise and go on
      </button>
      <Trouble words={trouble} />
    </form>
  );
}
