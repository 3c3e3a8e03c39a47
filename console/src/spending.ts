/** What a task has used of what it may use, where its commits go, and until when it has time. */
import type { TaskView } from "./protocol.ts";
import { visible } from "./visible.ts";
import { clock } from "./words_for_people.ts";

/** A piece for each thing that can be said, such as "3 of 40 turns". */
export function spending(task: TaskView): string[] {
  const { spent, budget } = task;
  const said = [
    used(String(spent.turns), budget.turns === null ? null : String(budget.turns), "turns"),
    used(grouped(spent.tokens), budget.tokens === null ? null : grouped(budget.tokens), "tokens"),
    used(dollars(spent.dollars), budget.dollars === null ? null : dollars(budget.dollars), ""),
    used(
      spent.minutes.toFixed(1),
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

function dollars(amount: number): string {
  return `$${amount.toFixed(amount < 1 && amount > 0 ? 3 : 2)}`;
}
