/** How the service does: what is wrong, the figures now, and charts of the last hour. For admins. */
import { useEffect, useState } from "react";
import { useDesk, useSlice } from "../desk.ts";
import type { Operations as Numbers } from "../operations.ts";
import { Refused } from "../rest.ts";
import { visible } from "../visible.ts";
import { Watch } from "../watch.ts";
import { clock } from "../words_for_people.ts";
import { Firing } from "./Alerts.tsx";
import { Charts } from "./Charts.tsx";
import { Figures } from "./Figures.tsx";
import { Backups, Model, Parts, Places, Processes, Routes, Tools } from "./Tables.tsx";

const EVERY = 12_000;

/** What the service last said, and why it says nothing now. */
interface Known {
  numbers: Numbers | null;
  trouble: { words: string; since: string } | null;
}

export function Operations() {
  const desk = useDesk();
  const alerts = useSlice((s) => s.alerts);
  const [known, setKnown] = useState<Known>({ numbers: null, trouble: null });
  useEffect(() => {
    const watch = new Watch(async () => {
      try {
        setKnown({ numbers: await desk.readOperations(), trouble: null });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        const { message } = error;
        setKnown((before) => ({
          ...before,
          trouble: { words: message, since: before.trouble?.since ?? new Date().toISOString() },
        }));
      }
    }, EVERY);
    return () => watch.close();
  }, [desk]);
  const { numbers, trouble } = known;
  return (
    <main className="operations" aria-label="Operations">
      <header>
        <h2>Operations</h2>
        {numbers && (
          <p className="faint" role="status">
            As of <time dateTime={numbers.at}>{new Date(numbers.at).toLocaleTimeString()}</time>
            {numbers.window_seconds > 0 &&
              `, counted over ${Math.round(numbers.window_seconds / 6) / 10} min`}
          </p>
        )}
      </header>
      {trouble && (
        <p role="alert" className="note bad">
          {visible(trouble.words)}. No news since {clock(trouble.since)}
          {numbers ? "; what stands here is of before" : ""}. It is asked again every few seconds.
        </p>
      )}
      {numbers?.detail && (
        <p role="alert" className="note waiting">
          {numbers.detail}
        </p>
      )}
      {numbers === null && trouble === null && <p className="faint">Loading…</p>}
      {alerts && <Firing alerts={alerts} />}
      {numbers && (
        <>
          <Figures numbers={numbers} />
          <Charts numbers={numbers} />
          <div className="tables">
            <Parts parts={numbers.parts} />
            <Backups backups={numbers.backups} />
            <Places disks={numbers.disks} />
            <Processes processes={numbers.processes} />
            <Routes routes={numbers.routes} />
            <Model model={numbers.model} />
            <Tools calls={numbers.work.tool_calls} />
          </div>
        </>
      )}
    </main>
  );
}
