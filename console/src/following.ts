/** The conversations that are followed: opened on the connection, told of by it, and left when they are too many. */

import { EMPTY } from "./items.ts";
import type { Presence, Problem } from "./protocol.ts";
import { Refused } from "./rest.ts";
import { type Store, without } from "./state.ts";

/** Conversations that are followed at once; of others the page forgets what it was told. */
const FOLLOWED = 20;

/** A call on the connection. It rejects with Refused. */
type Call = (name: string, order: Record<string, unknown>) => Promise<Record<string, unknown>>;

export class Following {
  readonly #store: Store;
  readonly #call: Call;
  readonly #troubled: (problem: Problem) => void;
  /** Their ids, the one looked at last at the end. */
  #followed: string[] = [];

  /** `troubled` is told of what is wrong with more than the conversation. */
  constructor(store: Store, call: Call, troubled: (problem: Problem) => void) {
    this.#store = store;
    this.#call = call;
    this.#troubled = troubled;
  }

  /** Follow a conversation from where the page knows it. */
  async follow(id: string, again = false): Promise<void> {
    const after = this.#store.getState().transcripts[id]?.lastSeq ?? 0;
    try {
      const order = { conversation_id: id, after_seq: after };
      const answer = await this.#call("conversation.open", order);
      this.setPresent(id, answer.present as Presence);
      this.#store.setState((s) => ({
        transcripts: { ...s.transcripts, [id]: s.transcripts[id] ?? EMPTY },
        barred: without(s.barred, id),
      }));
      this.#followed = [...this.#followed.filter((other) => other !== id), id];
      while (this.#followed.length > FOLLOWED) await this.#leave(this.#followed[0] as string);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { status } = error.problem;
      if (status === 422 && after > 0 && !again) {
        // The log is shorter than what is known of it: it was restored. What it has now is the truth.
        this.#store.setState((s) => ({ transcripts: without(s.transcripts, id) }));
        await this.follow(id, true);
      } else if (status === 404 || status === 422) this.bar(id, error.problem);
      else if (status !== 0) this.#troubled(error.problem);
    }
  }

  /** Follow a conversation no more, and forget what was told of it. */
  async #leave(id: string): Promise<void> {
    this.#followed = this.#followed.filter((other) => other !== id);
    this.#store.setState((s) => ({
      transcripts: without(s.transcripts, id),
      present: without(s.present, id),
    }));
    await this.#call("conversation.close", { conversation_id: id });
  }

  /** A conversation cannot be shown. */
  bar(id: string, problem: Problem): void {
    this.#store.setState((s) => ({ barred: { ...s.barred, [id]: problem } }));
  }

  /** Who watches a conversation now. */
  setPresent(id: string, present: Presence): void {
    this.#store.setState((s) => ({ present: { ...s.present, [id]: present } }));
  }
}
