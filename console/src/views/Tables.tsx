/** What the figures are made of: parts, backups, places, processes, routes, the model and tools. */
import type { ReactNode } from "react";
import {
  age,
  bytes,
  dollars,
  NONE,
  type Operations,
  type Process,
  rate,
  ratio,
  seconds,
} from "../operations.ts";
import type { ReadyPart } from "../protocol.ts";
import { visible } from "../visible.ts";
import { clock } from "../words_for_people.ts";

/** Routes that are shown, the busiest. */
const ROUTES = 15;

export function Parts({ parts }: { parts: ReadyPart[] }) {
  return (
    <Table title="Parts" heads={["Part", "State", "What it says"]} wide>
      {parts.map((part) => (
        <tr key={part.name}>
          <th scope="row">{part.name}</th>
          <td>
            <span
              className={`chip ${{ ok: "good", degraded: "busy", down: "bad" }[part.state] ?? ""}`}
            >
              {part.state}
            </span>
          </td>
          <td className="words">{part.detail && visible(part.detail)}</td>
        </tr>
      ))}
    </Table>
  );
}

export function Backups({ backups }: { backups: Operations["backups"] }) {
  return (
    <Table title="Backups" heads={["The newest", "Log behind", "On the disk"]}>
      {backups === null ? (
        <tr>
          <td colSpan={3}>This service keeps none itself.</td>
        </tr>
      ) : (
        <tr>
          <td>{backups.age_seconds === null ? "none yet" : `${age(backups.age_seconds)} old`}</td>
          <td>{backups.lag_seconds === null ? "not kept" : age(backups.lag_seconds)}</td>
          <td>{bytes(backups.bytes)}</td>
        </tr>
      )}
    </Table>
  );
}

export function Places({ disks }: { disks: Record<string, number> }) {
  return (
    <Table title="Disks" heads={["Place", "Full"]}>
      {Object.entries(disks).map(([place, full]) => (
        <tr key={place}>
          <th scope="row">{place}</th>
          <td>{ratio(full)}</td>
        </tr>
      ))}
    </Table>
  );
}

export function Processes({ processes }: { processes: Process[] }) {
  return (
    <Table
      title="Processes"
      heads={["Process", "Since", "Memory", "Cores", "Pool", "Loop late", "Runs", "Sockets"]}
      wide
    >
      {processes.map((process) => (
        <tr key={process.id}>
          <th scope="row">
            {process.kind} {process.id.slice(0, 8)}
            {process.answers && <span className="faint"> answers you</span>}
          </th>
          <td>{clock(process.started_at)}</td>
          <td>{bytes(process.memory_bytes)}</td>
          <td>{process.cpu === null ? NONE : process.cpu.toFixed(2)}</td>
          <td>
            {process.pool_in_use ?? NONE} of {process.pool_size ?? NONE}
          </td>
          <td>{seconds(process.loop_lag_seconds)}</td>
          <td>{process.runs_held}</td>
          <td>{process.sockets}</td>
        </tr>
      ))}
    </Table>
  );
}

export function Routes({ routes }: { routes: Operations["routes"] }) {
  return (
    <Table title="Routes" heads={["Route", "A second", "Failed", "Refused", "Median", "95 %"]} wide>
      {routes.slice(0, ROUTES).map((route) => (
        <tr key={`${route.method} ${route.route}`}>
          <th scope="row">
            <code>
              {route.method} {route.route}
            </code>
          </th>
          <td>{rate(route.per_second)}</td>
          <td>{route.errors}</td>
          <td>{route.refused}</td>
          <td>{seconds(route.p50_seconds)}</td>
          <td>{seconds(route.p95_seconds)}</td>
        </tr>
      ))}
    </Table>
  );
}

export function Model({ model }: { model: Operations["model"] }) {
  return (
    <Table title="Model" heads={["What", "How much"]}>
      {Object.entries(model.calls).map(([outcome, count]) => (
        <tr key={outcome}>
          <th scope="row">calls, {outcome.replaceAll("_", " ")}</th>
          <td>{count}</td>
        </tr>
      ))}
      {Object.entries(model.tokens).map(([name, count]) => (
        <tr key={name}>
          <th scope="row">tokens, {name.replaceAll("_", " ")}</th>
          <td>{count.toLocaleString()}</td>
        </tr>
      ))}
      <tr>
        <th scope="row">dollars</th>
        <td>{dollars(model.dollars)}</td>
      </tr>
    </Table>
  );
}

export function Tools({ calls }: { calls: Operations["work"]["tool_calls"] }) {
  return (
    <Table title="Tools" heads={["Tool", "Outcome", "Calls"]}>
      {calls.map((call) => (
        <tr key={`${call.tool} ${call.outcome}`}>
          <th scope="row">{call.tool}</th>
          <td>{call.outcome}</td>
          <td>{call.calls}</td>
        </tr>
      ))}
    </Table>
  );
}

function Table({
  title,
  heads,
  wide = false,
  children,
}: {
  title: string;
  heads: string[];
  wide?: boolean;
  children: ReactNode;
}) {
  return (
    <section
      className={wide ? "table wide scroll" : "table scroll"}
      aria-label={title}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
      tabIndex={0}
    >
      <h3>{title}</h3>
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
