/** What a task has used of what it may use, where its commits go, and until when it has time. */
import type { TaskView } from "./protocol.ts";
import { visible } from "./visible.ts";
import { clock, money } from "./words_for_people.ts";

/** A piece for each thing that can be said, such as "3 of 40 turns". */
export function spending(task: TaskView): string[] {
  const { spent, budget } = task;
  const said = [
    used(String(spent.turns), budget.turns === null ? null : String(budget.turns), "turns"),
    used(grouped(spent.tokens), budget.tokens === null ? null : grouped(budget.tokens), "tokens"),
    used(
      spent.dollars > 0 ? money(spent.dollars * 1e9) : "$0.00",
      budget.dollars === null ? null : limit(budget.dollars),
      "",
    ),
    used(
      spent.minutes.toFixed(spent.minutes > 0 && spent.minutes < 0.1 ? 2 : 1),
      budget.minutes === null ? null : String(budget.minutes),
      "minutes at work",
    ),
  ];
  if (task.branch !== null) said.push(`branch ${visible(task.branch)}`);
  if (task.deadline !== null && task.ended_at === null) said.push(`until ${clock(task.deadline)}`);
  return said;
}

function used(now: string, allowed: string | null, unit: string): string {
  return `${now}${allowed === null ? "" : ` of ${allowed}`}${unit && ` ${unit}`}`;
}

function grouped(count: number): string {
  return count.toLocaleString("en-GB");
}

/** A limit in dollars as it was named: rounded it would be another one. */
function limit(dollars: number): string {
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: 6 };
  return `$${dollars.toLocaleString("en-GB", digits)}`;
}
