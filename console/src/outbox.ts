/**
 * The outbox: it sends letters one after another, in the order in which they were said. One that gets no
 * answer holds back those that were said after it in its conversation; one that is refused does not.
 */
import { keepOutbox, type Letter, newId } from "./letter.ts";
import { Refused } from "./rest.ts";
import type { Store } from "./state.ts";

export class Outbox {
  readonly #store: Store;
  readonly #send: (letter: Letter) => Promise<unknown>;
  /** The end of all sending that was asked for. */
  #sending: Promise<void> = Promise.resolve();

  /** `send` hands a letter to the service. It rejects with Refused; without an answer its status is 0. */
  constructor(store: Store, send: (letter: Letter) => Promise<unknown>) {
    this.#store = store;
    this.#send = send;
  }

  /** Say something; kept and sent again until the service has acknowledged it. */
  async say(conversation: string, text: string): Promise<void> {
    const letter: Letter = { id: newId(), conversation, text, refused: null };
    this.#change((letters) => [...letters, letter]);
    await this.send();
  }

  /** Give up on words that the service refused; gives them back. */
  takeBack(id: string): string {
    const letter = this.#store.getState().outbox.find((l) => l.id === id);
    this.#change((letters) => letters.filter((l) => l.id !== id));
    return letter?.text ?? "";
  }

  /** Have the letters that were refused with `code` wait again, and send what waits. */
  async retry(code: string): Promise<void> {
    this.#change((letters) =>
      letters.map((letter) => {
        if (letter.code !== code) return letter;
        const { code: _, ...rest } = letter;
        return { ...rest, refused: null };
      }),
    );
    await this.send();
  }

  /** Send what waits, after whatever is being sent. */
  send(): Promise<void> {
    const work = () => this.#sendAll();
    this.#sending = this.#sending.then(work, work);
    return this.#sending;
  }

  async #sendAll(): Promise<void> {
    const held = new Set<string>();
    for (;;) {
      const letter = this.#store
        .getState()
        .outbox.find((l) => l.refused === null && !held.has(l.conversation));
      if (letter === undefined) return;
      if (!(await this.#post(letter))) held.add(letter.conversation);
    }
  }

  /** False when nobody answered, or not now: it is sent again with the next words or connection. */
  async #post(letter: Letter): Promise<boolean> {
    try {
      await this.#send(letter);
      this.#change((letters) => letters.filter((l) => l.id !== letter.id));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { status, code } = error.problem;
      if (status === 0 || status === 503) return false;
      const refused = error.message;
      this.#change((letters) =>
        letters.map((l) => (l.id === letter.id ? { ...l, refused, ...(code && { code }) } : l)),
      );
    }
    return true;
  }

  #change(change: (letters: Letter[]) => Letter[]): void {
    this.#store.setState((s) => ({ outbox: change(s.outbox) }));
    keepOutbox(this.#store.getState().outbox);
  }
}
