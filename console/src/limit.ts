/** Limits that a run can reach: what is asked for in place of each, and the order that raises it. */
import type { BudgetOrder, Reached } from "./protocol.ts";

const LIMITS = {
  turns: { scope: "run", field: "turns", label: "Turns in all", step: 1 },
  dollars: { scope: "run", field: "dollars", label: "Dollars in all", step: 0.01 },
  context: { scope: "run", field: "prompt_tokens", label: "Tokens of a prompt", step: 1_000 },
  task_turns: { scope: "task", field: "turns", label: "Turns of the task", step: 1 },
  task_tokens: { scope: "task", field: "tokens", label: "Tokens of the task", step: 1_000 },
  task_dollars: { scope: "task", field: "dollars", label: "Dollars of the task", step: 0.01 },
  task_minutes: { scope: "task", field: "minutes", label: "Minutes of the task", step: 0.1 },
} as const;

export type LimitReason = keyof typeof LIMITS;

export function isLimit(reason: string | null): reason is LimitReason {
  return reason !== null && Object.hasOwn(LIMITS, reason);
}

/** What is asked for, and in which steps. */
export function asked(reason: LimitReason): { label: string; step: number } {
  return LIMITS[reason];
}

/** What is proposed in place of the limit that was reached: enough for what comes next, in whole steps. */
export function proposed(reason: LimitReason, reached: Reached): number {
  const { step } = LIMITS[reason];
  const more = reason === "context" ? reached.allowed + 50_000 : reached.allowed * 2;
  const wanted = Math.max(more, reached.used + reached.wanted);
  // A sum of fractions may be a hair above a whole step.
  return Number((Math.ceil(wanted / step - 1e-9) * step).toFixed(2));
}

/** The order that raises the limit to `value`. */
export function raising(reason: LimitReason, value: number): BudgetOrder {
  const { scope, field } = LIMITS[reason];
  return scope === "task" ? { task: { [field]: value } } : { [field]: value };
}

/** The figures of a limit of the run itself, of which a log from before tells none. */
export function figures(
  reason: LimitReason,
  limits: { turns: number; dollars: number; prompt_tokens: number },
): Reached | null {
  const { scope, field } = LIMITS[reason];
  if (scope === "task") return null;
  return { scope, limit: field, used: 0, wanted: 0, allowed: limits[field] };
}
