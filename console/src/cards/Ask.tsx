/** A call that waits for somebody's yes, or the account of who said what. */
import { useState } from "react";
import { useAttempt } from "../attempt.ts";
import type { Approval, Call } from "../call.ts";
import { useDesk } from "../desk.ts";
import { visible } from "../visible.ts";
import { clock } from "../words_for_people.ts";

interface Asked {
  call: Call;
  approval: Approval;
  conversation: string;
}

export function Ask({ call, approval, conversation }: Asked) {
  const desk = useDesk();
  const [message, setMessage] = useState("");
  const [remember, setRemember] = useState(false);
  const { busy, trouble, attempt } = useAttempt();
  if (approval.state !== "pending") {
    const by = approval.by ? ` by ${visible(approval.by)}` : "";
    return approval.state === "expired" ? (
      <p className="asked faint">Nobody said yes in time.</p>
    ) : (
      <p className="asked faint">{`${approval.state === "allowed" ? "Allowed" : "Denied"}${by}.`}</p>
    );
  }
  const decide = (decision: "allow" | "deny") =>
    attempt(async () => {
      const words = decision === "deny" ? message.trim() || null : null;
      await desk.decide(conversation, approval, decision, words, decision === "allow" && remember);
      document.getElementById(`call-${call.callId}`)?.querySelector<HTMLElement>(".head")?.focus();
    });
  return (
    <fieldset className="asked" disabled={busy}>
      <legend>May {visible(call.tool)} do exactly this?</legend>
      <p className="faint">
        Asked because {visible(approval.reason)}. Without an answer it is a no at{" "}
        {clock(approval.expiresAt)}.
      </p>
      <div className="row">
        <button type="button" className="primary" onClick={() => void decide("allow")}>
          Allow
        </button>
        <button type="button" onClick={() => void decide("deny")}>
          Deny
        </button>
        <label>
          <input
            type="checkbox"
            checked={remember}
            onChange={(e) => setRemember(e.target.checked)}
          />
          and the same call again
        </label>
      </div>
      <input
        type="text"
        value={message}
        onChange={(event) => setMessage(event.target.value)}
        placeholder="With a no: what should it do instead?"
        aria-label="Words for the agent, with a no"
      />
      {trouble && <p role="alert">{trouble}</p>}
    </fieldset>
  );
}
