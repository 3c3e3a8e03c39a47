/** What the page knows, in one store; views read slices of it. Whoever changes it is handed it. */
import { createStore, type StoreApi } from "zustand/vanilla";
import type { Transcript } from "./items.ts";
import { type Letter, readOutbox } from "./letter.ts";
import type { Alerts } from "./operations.ts";
import type {
  AgentView,
  ConversationView,
  ExampleView,
  Presence,
  Problem,
  Readiness,
  WorkspaceView,
} from "./protocol.ts";

export type Link = "connecting" | "live" | "reconnecting" | "refused";

export interface State {
  link: Link;
  principal: string | null;
  /** Why the key was refused, or what else the service says of the connection. */
  problem: Problem | null;
  /** Why there is no connection, and since when (milliseconds); null while there is one. */
  away: { cause: string; since: number } | null;
  ready: Readiness | null;
  /** The newest ones, and those that were asked for; null until the list has come. */
  conversations: ConversationView[] | null;
  /** The cursor of the conversations that are older than those; null when there are none. */
  older: string | null;
  workspaces: WorkspaceView[];
  agents: AgentView[];
  /** The scripted example; null while it is not known. */
  example: ExampleView | null;
  current: string | null;
  /** Whether the operations view is open, in the place of a conversation. */
  operations: boolean;
  /** Whether the key opens it; null while that is not known. */
  operator: boolean | null;
  /** The alerts that fire; null while they are not known, and for keys that may not see them. */
  alerts: Alerts | null;
  transcripts: Record<string, Transcript>;
  /** Who watches the conversations that this page follows, this page included. */
  present: Record<string, Presence>;
  /** Why a conversation cannot be shown. */
  barred: Record<string, Problem>;
  outbox: Letter[];
}

export type Store = StoreApi<State>;

/** A store that knows nothing yet but the words that were kept. */
export function newStore(): Store {
  return createStore<State>(() => ({
    link: "connecting",
    principal: null,
    problem: null,
    away: null,
    ready: null,
    conversations: null,
    older: null,
    workspaces: [],
    agents: [],
    example: null,
    current: null,
    operations: false,
    operator: null,
    alerts: null,
    transcripts: {},
    present: {},
    barred: {},
    outbox: readOutbox(),
  }));
}

/** Two lists in one, newest first, each conversation once; where both know one, as `newer` has it. */
export function merged(
  newer: readonly ConversationView[],
  other: readonly ConversationView[],
): ConversationView[] {
  const known = new Set(newer.map((c) => c.id));
  return [...newer, ...other.filter((c) => !known.has(c.id))].sort(
    (a, b) => Date.parse(b.created_at) - Date.parse(a.created_at),
  );
}

/** The record without one of its names. */
export function without<T>(record: Record<string, T>, name: string): Record<string, T> {
  const { [name]: _, ...rest } = record;
  return rest;
}
