/** Numbers, times and states as people read them. */
import type { Usage } from "./protocol.ts";
import type { Run } from "./run.ts";

export function money(nanodollars: number): string {
  const dollars = nanodollars / 1e9;
  return `$${dollars < 0.01 ? dollars.toFixed(4) : dollars.toFixed(dollars < 1 ? 3 : 2)}`;
}

/** How much of a prompt came from the cache, such as "96 % cached"; null when nothing did. */
export function cached(usage: Usage): string | null {
  const prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h;
  if (!prompt || !usage.cache_read) return null;
  return `${Math.round((100 * usage.cache_read) / prompt)} % cached`;
}

export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** The time of day; with its date when that is not today. */
export function clock(at: string): string {
  const when = new Date(at);
  const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (when.toDateString() === new Date().toDateString()) return time;
  return `${when.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

/** What a run is doing, in a few words; null when there is nothing to say. */
export function doing(run: Run | null, stopping: boolean): string | null {
  if (run === null) return null;
  if (stopping) return "Stopping…";
  switch (run.state) {
    case "queued":
      return "Queued.";
    case "running":
      return "At work…";
    case "waiting":
      return WAITS[run.reason ?? ""] ?? "Waiting.";
    default:
      return null;
  }
}

const WAITS: Record<string, string> = {
  approval: "Waiting for a yes.",
  model: "Waiting for the model.",
  turns: "Out of turns.",
  dollars: "Out of dollars.",
  context: "The conversation has grown too long.",
  task_turns: "The task is out of turns.",
  task_tokens: "The task is out of tokens.",
  task_dollars: "The task is out of dollars.",
  task_minutes: "The task is out of time.",
  day: "Out of dollars for today.",
};
