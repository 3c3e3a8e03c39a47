/** The alerts that fire, or that none does. */

import type { Alerts } from "../operations.ts";
import { chapter } from "../runbook.ts";
import { visible } from "../visible.ts";
import { clock } from "../words_for_people.ts";
import { Markdown } from "./Markdown.tsx";

export function Firing({ alerts }: { alerts: Alerts }) {
  return (
    <section className="alerts" aria-label="Alerts">
      {alerts.items.length === 0 && <p className="note good">No alert fires.</p>}
      <ul>
        {alerts.items.map((alert) => (
          <li
            key={alert.id}
            className={`note ${alert.severity === "critical" ? "bad" : "waiting"}`}
          >
            <p>
              <strong>{alert.alert}</strong>{" "}
              <span className={`chip ${alert.severity === "critical" ? "bad" : "busy"}`}>
                {alert.severity}
              </span>{" "}
              {visible(alert.sentence)}
            </p>
            <p className="faint">
              Since {clock(alert.since)}, first seen by {visible(alert.process)}.
            </p>
            <Advice runbook={alert.runbook} />
          </li>
        ))}
      </ul>
      {!alerts.complete && (
        <p className="faint">
          The database does not answer, so alerts that other processes see are not among these.
        </p>
      )}
    </section>
  );
}

/** What the runbook says of it; where the page was built without one, where it stands. */
function Advice({ runbook }: { runbook: string }) {
  const words = chapter(runbook);
  if (words === null)
    return (
      <p className="faint">
        What to do: <code>{runbook}</code>
      </p>
    );
  return (
    <details>
      <summary>What to do</summary>
      <Markdown text={words} />
    </details>
  );
}
