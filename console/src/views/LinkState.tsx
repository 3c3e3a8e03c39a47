/** The truth about the connection and the service's parts. */
import { useSlice } from "../desk.ts";

export function LinkState() {
  const link = useSlice((s) => s.link);
  const principal = useSlice((s) => s.principal);
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
        {principal && link === "live" && <span className="faint"> · {principal}</span>}
      </p>
      {troubled.length > 0 && (
        <details>
          <summary>{troubled.map((part) => part.name).join(", ")}</summary>
          <ul>
            {troubled.map((part) => (
              <li key={part.name}>
                <strong>{part.name}</strong> {part.detail}
              </li>
            ))}
          </ul>
        </details>
      )}
    </footer>
  );
}
