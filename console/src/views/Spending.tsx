/** The line of a task beneath its title: what it has used, of what. Asked for anew whenever its run changes. */
import { useEffect, useState } from "react";
import { useDesk } from "../desk.ts";
import type { Transcript } from "../items.ts";
import type { TaskView } from "../protocol.ts";
import { spending } from "../spending.ts";

export function Spending({ task, transcript }: { task: string; transcript: Transcript }) {
  const desk = useDesk();
  const [view, setView] = useState<TaskView | null>(null);
  const { run, step } = transcript;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is spent changes with the run and its steps
  useEffect(() => {
    let gone = false;
    desk.rest.task(task).then(
      (found) => {
        if (!gone) setView(found);
      },
      () => undefined, // what was known last stays
    );
    return () => {
      gone = true;
    };
  }, [desk, task, run?.state, step]);
  if (view === null) return null;
  return (
    <section className="faint" aria-label="What the task has used">
      {spending(view).join(" · ")}
    </section>
  );
}
