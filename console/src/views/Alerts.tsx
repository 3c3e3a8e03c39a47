/** The alerts that fire, or that none does. */
import type { Alerts } from "../operations.ts";
import { visible } from "../visible.ts";
import { clock } from "../words_for_people.ts";

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
              Since {clock(alert.since)}, first seen by {visible(alert.process)}. What to do:{" "}
              <code>{alert.runbook}</code>
            </p>
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
