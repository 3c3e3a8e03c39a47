/** The truth about the connection and the service's parts, and why they are as they are. */
import { useSlice } from "../desk.ts";
import { visible } from "../visible.ts";
import { clock } from "../words_for_people.ts";

export function LinkState() {
  const link = useSlice((s) => s.link);
  const principal = useSlice((s) => s.principal);
  const away = useSlice((s) => s.away);
  const ready = useSlice((s) => s.ready);
  const troubled = ready?.parts.filter((part) => part.state !== "ok") ?? [];
  const [tone, words] =
    link === "live"
      ? troubled.length
        ? ["degraded", "Live, degraded"]
        : ["live", "Live"]
      : link === "connecting"
        ? ["lost", "Connecting…"]
        : ["lost", "Reconnecting…"];
  return (
    <footer className="link">
      <p role="status" className={tone}>
        <span className="dot" aria-hidden="true" /> {words}
        {principal && link === "live" && <span className="faint"> · {visible(principal)}</span>}
        {away && (
          <span className="faint cause">
            {away.cause} Away since {clock(new Date(away.since).toISOString())}; tried again every
            few seconds.
          </span>
        )}
      </p>
      {link === "live" && troubled.length > 0 && (
        <details>
          <summary>Why: {troubled.map((part) => part.name).join(", ")}</summary>
          <ul>
            {troubled.map((part) => (
              <li key={part.name}>
                <strong>{part.name}</strong> is {part.state}. {part.detail}
              </li>
            ))}
          </ul>
        </details>
      )}
    </footer>
  );
}
