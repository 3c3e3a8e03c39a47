/** Raising the limit that a run has reached. */
import { useEffect, useState } from "react";
import { useAttempt } from "../attempt.ts";
import { useDesk } from "../desk.ts";
import type { Limits } from "../protocol.ts";
import type { LimitReason } from "./RunState.tsx";
import { Trouble } from "./Trouble.tsx";

interface Asked {
  field: keyof Limits;
  label: string;
  step: number;
  /** What is proposed instead of the present limit. */
  proposed: (now: number) => number;
}

const ASKED: Record<LimitReason, Asked> = {
  turns: { field: "turns", label: "Turns in all", step: 1, proposed: (now) => now * 2 },
  dollars: { field: "dollars", label: "Dollars in all", step: 0.01, proposed: (now) => now * 2 },
  context: {
    field: "prompt_tokens",
    label: "Tokens of a prompt",
    step: 1_000,
    proposed: (now) => now + 50_000,
  },
};

export function Raise({ conversation, reason }: { conversation: string; reason: LimitReason }) {
  const desk = useDesk();
  const asked = ASKED[reason];
  const [wanted, setWanted] = useState("");
  const { busy, trouble, attempt } = useAttempt();
  useEffect(() => {
    let gone = false;
    desk.rest.conversation(conversation).then(
      (view) => {
        const now = view.run?.limits[asked.field];
        if (!gone && now) setWanted((typed) => typed || String(asked.proposed(now)));
      },
      () => undefined, // without a proposal the field stays empty
    );
    return () => {
      gone = true;
    };
  }, [desk, conversation, asked]);
  const raise = () =>
    attempt(() => desk.rest.raiseBudget(conversation, { [asked.field]: Number(wanted) }));
  return (
    <form
      className="row raise"
      onSubmit={(event) => {
        event.preventDefault();
        void raise();
      }}
    >
      <label>
        {asked.label}
        <input
          type="number"
          min={asked.step}
          step={asked.step}
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
