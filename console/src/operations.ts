/** The numbers of the service as the service gives them (see docs/operations.md), and what is said of them. */
import type { ReadyPart } from "./protocol.ts";
import { duration } from "./words_for_people.ts";

export interface Requests {
  requests: number;
  per_second: number;
  errors: number;
  refused: number;
  error_ratio: number | null;
  p50_seconds: number | null;
  p95_seconds: number | null;
}

export interface Point {
  at: string;
  requests_per_second: number;
  errors_per_second: number;
  refused_per_second: number;
  p50_seconds: number | null;
  p95_seconds: number | null;
  dollars: number;
  steps: number;
  queued: number | null;
  running: number | null;
  waiting: number | null;
  queue_age_seconds: number | null;
}

export interface Process {
  id: string;
  kind: "serve" | "worker";
  version: string;
  started_at: string;
  answers: boolean;
  memory_bytes: number | null;
  cpu: number | null;
  pool_in_use: number | null;
  pool_size: number | null;
  loop_lag_seconds: number | null;
  runs_held: number;
  sockets: number;
}

export interface Operations {
  at: string;
  whole: boolean;
  detail: string | null;
  window_seconds: number;
  step_seconds: number;
  requests: Requests;
  routes: (Requests & { method: string; route: string })[];
  runs: {
    queued: number;
    running: number;
    waiting: number;
    stuck: number | null;
    queue_age_seconds: number;
  } | null;
  work: {
    messages: number;
    runs_ended: Record<string, number>;
    takeovers: number;
    steps: number;
    tool_calls: { tool: string; outcome: string; calls: number }[];
  };
  model: {
    calls: Record<string, number>;
    retries: number;
    tokens: Record<string, number>;
    dollars: number;
    cache_ratio: number | null;
    breakers: Record<string, string>;
  };
  clients: {
    sockets: number;
    watched: number;
    slow_disconnects: number;
    publishes_lost: number;
  };
  processes: Process[];
  disks: Record<string, number>;
  backups: { age_seconds: number | null; lag_seconds: number | null; bytes: number } | null;
  parts: ReadyPart[];
  history: Point[];
}

export interface Alert {
  id: string;
  alert: string;
  severity: "warning" | "critical";
  sentence: string;
  process: string;
  since: string;
  runbook: string;
}

export interface Alerts {
  items: Alert[];
  /** False while the database is away: what other processes see is not among them. */
  complete: boolean;
}

/** Not known, or nothing of the kind. */
export const NONE = "–";

export function ratio(value: number | null): string {
  if (value === null) return NONE;
  const percent = 100 * value;
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

export function rate(value: number): string {
  return value === 0 || value >= 10 ? `${Math.round(value)}` : value.toPrecision(2);
}

/** How many of something there are; on an axis there may be half of one. */
export function amount(value: number): string {
  return Number.isInteger(value) ? `${value}` : value.toFixed(1);
}

export function seconds(value: number | null): string {
  return value === null ? NONE : duration(1000 * value);
}

/** Ages, which may be days. */
export function age(value: number | null): string {
  if (value === null) return NONE;
  if (value < 120) return `${Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172_800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86_400)} days`;
}

export function bytes(value: number | null): string {
  if (value === null) return NONE;
  const steps = ["B", "KB", "MB", "GB", "TB"];
  let step = 0;
  let left = value;
  while (left >= 1000 && step < steps.length - 1) {
    left /= 1000;
    step += 1;
  }
  return `${left < 10 && step > 0 ? left.toFixed(1) : Math.round(left)} ${steps[step]}`;
}

export function dollars(value: number): string {
  return `$${value === 0 ? "0" : value.toFixed(value < 0.01 ? 4 : value < 1 ? 3 : 2)}`;
}

/** What a slot of the history cost, as it would be in a minute. */
export function dollarsPerMinute(history: Point[], step: number): number[] {
  return history.map((point) => (point.dollars * 60) / step);
}

/** The breaker that is worst off, in words; null while every model answers. */
export function troubledModels(breakers: Record<string, string>): string | null {
  const away = Object.entries(breakers).filter(([, state]) => state !== "closed");
  if (away.length === 0) return null;
  return away.map(([model, state]) => `${model} is ${state.replace("_", " ")}`).join(", ");
}
