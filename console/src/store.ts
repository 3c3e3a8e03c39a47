/** What can be done on the page. It keeps what the page knows in one store; views read slices of that. */
import { Connection } from "./connection.ts";
import { lookAtExample } from "./example.ts";
import { Following } from "./following.ts";
import { EMPTY } from "./items.ts";
import { forgetKey, keepKey } from "./key.ts";
import type { Letter } from "./letter.ts";
import type { Operations } from "./operations.ts";
import { Outbox } from "./outbox.ts";
import type { ConversationView, Delta, Envelope, ModelKeyView, Problem } from "./protocol.ts";
import { Refused, Rest, readiness } from "./rest.ts";
import { merged, newStore } from "./state.ts";
import { withDelta, withEvent } from "./transcript.ts";

/** What a new conversation may name; what is left out is as the service has it. */
export interface ConversationOrder {
  agent?: string;
  workspace?: string;
  title?: string;
  permission_mode?: string;
}

/** Milliseconds in which events and deltas are gathered before the page is drawn again. */
const FRAME = 33;
/** Milliseconds that a new conversation waits for a connection. */
const PATIENCE = 20_000;
const LIST_EVERY = 5_000;
const READY_EVERY = 10_000;

export class Desk {
  readonly store = newStore();
  readonly rest: Rest;
  readonly #connection: Connection;
  readonly #following: Following;
  readonly #outbox: Outbox;
  readonly #timers: number[] = [];
  #waiting: (Envelope | Delta)[] = [];
  #drawing: number | null = null;

  constructor(key: string) {
    keepKey(key);
    this.rest = new Rest(key);
    this.#connection = new Connection(key, {
      welcomed: (principal) => void this.#welcomed(principal),
      heard: (event) => this.#take(event),
      streamed: (delta) => this.#take(delta),
      troubled: (problem) => this.#troubled(problem),
      noticed: (notice) => this.#following.setPresent(notice.conversation_id, notice.present),
      alerted: () => void this.#askForAlerts(),
      lost: (cause) => this.#lost(cause),
    });
    this.#following = new Following(
      this.store,
      (name, order) => this.#connection.call(name, order),
      (problem) => this.#troubled(problem),
    );
    this.#outbox = new Outbox(this.store, (letter) => this.#send(letter));
    this.#timers.push(
      window.setInterval(() => void this.refresh(), LIST_EVERY),
      window.setInterval(() => void this.#look(), READY_EVERY),
    );
    void this.#look();
  }

  close(): void {
    for (const timer of this.#timers) window.clearInterval(timer);
    this.#connection.close();
  }

  /** Show a conversation and follow it; null shows none. */
  async open(id: string | null): Promise<void> {
    this.store.setState({ current: id, operations: false });
    if (id !== null && this.store.getState().link === "live") await this.#following.follow(id);
  }

  /** Show how the service does. */
  openOperations(): void {
    this.store.setState({ current: null, operations: true });
  }

  /** Show what an address names that the list has not, such as an old conversation. */
  async look(id: string): Promise<void> {
    try {
      this.#know(await this.rest.conversation(id));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.problem.status === 404) this.#following.bar(id, error.problem);
    }
  }

  /** Begin a conversation, as soon as there is a connection; gives its id. Rejects with Refused. */
  async begin(order: ConversationOrder): Promise<string> {
    await this.#live();
    const answer = await this.#connection.call("conversation.create", { ...order });
    const conversation = answer.conversation as ConversationView;
    this.#know(conversation);
    return conversation.id;
  }

  /** Say something; kept and sent again until the service has acknowledged it. */
  say(conversation: string, text: string): Promise<void> {
    return this.#outbox.say(conversation, text);
  }

  /** Give up on words that the service refused; gives them back. */
  takeBack(id: string): string {
    return this.#outbox.takeBack(id);
  }

  async interrupt(conversation: string): Promise<void> {
    await this.#connection.call("run.interrupt", { conversation_id: conversation });
  }

  /** Take back what a call did, or all that was done after a seq; `id` makes a repetition the same undo.
   *  Rejects with Refused. */
  async undo(
    conversation: string,
    what: { call_id: string } | { to_seq: number },
    id: string,
  ): Promise<void> {
    await this.#connection.call("workspace.undo", {
      conversation_id: conversation,
      ...what,
      client_undo_id: id,
    });
  }

  async decide(
    conversation: string,
    approval: { id: string; callDigest: string },
    decision: "allow" | "deny",
    message: string | null,
    remember: boolean,
  ): Promise<void> {
    await this.#connection.call("approval.decide", {
      conversation_id: conversation,
      approval_id: approval.id,
      call_digest: approval.callDigest,
      decision,
      ...(message ? { message } : {}),
      ...(remember ? { remember } : {}),
    });
  }

  /** Give the service a key of the model's API; words that waited for just that are sent again. */
  async giveModelKey(key: string, unchecked: boolean): Promise<ModelKeyView> {
    const held = await this.rest.giveModelKey(key, unchecked);
    void this.#look();
    void this.#outbox.retry("model-key-missing");
    return held;
  }

  /** Read the list of conversations anew, if anybody looks. */
  async refresh(): Promise<void> {
    if (document.hidden || this.store.getState().link === "refused") return;
    try {
      const page = await this.rest.conversations();
      this.store.setState(({ conversations, older }) => ({
        conversations: merged(page.items, conversations ?? []),
        older: conversations === null ? page.next : older,
      }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }

  /** Read the next page of older conversations. Rejects with Refused. */
  async readOlder(): Promise<void> {
    const { older } = this.store.getState();
    if (older === null) return;
    const page = await this.rest.conversations(older);
    this.store.setState(({ conversations }) => ({
      conversations: merged(conversations ?? [], page.items),
      older: page.next,
    }));
  }

  /** Wait for the connection. Rejects with Refused when it does not come. */
  #live(): Promise<void> {
    if (this.store.getState().link === "live") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const leave = this.store.subscribe((state) => {
        if (state.link === "live") settle(resolve);
      });
      const settle = (done: () => void) => {
        window.clearTimeout(timer);
        leave();
        done();
      };
      const refused = new Refused({ title: "The service does not answer", status: 0 });
      const timer = window.setTimeout(() => settle(() => reject(refused)), PATIENCE);
    });
  }

  async #welcomed(principal: string): Promise<void> {
    this.store.setState({ link: "live", principal, problem: null, away: null });
    const { current } = this.store.getState();
    if (current !== null) await this.#following.follow(current);
    await this.#outbox.send();
    await this.refresh();
    await lookAtExample(this);
    await this.#askForAlerts();
    await this.readChoices();
  }

  /** The numbers of the service and the alerts that fire. Rejects with Refused. */
  async readOperations(): Promise<Operations> {
    const [numbers, alerts] = await Promise.all([this.rest.operations(), this.rest.alerts()]);
    this.store.setState({ operator: true, alerts });
    return numbers;
  }

  /** Which alerts fire, and so whether this key opens the operations view: nothing else tells its scopes. */
  async #askForAlerts(): Promise<void> {
    try {
      const alerts = await this.rest.alerts();
      this.store.setState({ operator: true, alerts });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.problem.status === 403) this.store.setState({ operator: false });
    }
  }

  /** Read anew which workspaces and agents there are. */
  async readChoices(): Promise<void> {
    try {
      const [workspaces, agents] = await Promise.all([this.rest.workspaces(), this.rest.agents()]);
      this.store.setState({ workspaces: workspaces.items, agents: agents.items });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }

  /** Put a conversation on the list, or its newer view in place of the one there. */
  #know(conversation: ConversationView): void {
    this.store.setState((s) => ({
      conversations: merged([conversation], s.conversations ?? []),
    }));
  }

  async #send(letter: Letter): Promise<void> {
    await this.#connection.call("message.send", {
      conversation_id: letter.conversation,
      text: letter.text,
      client_message_id: letter.id,
    });
    void this.refresh();
  }

  #lost(cause: string): void {
    this.store.setState((s) =>
      s.link === "refused"
        ? s
        : { link: "reconnecting", away: { cause, since: s.away?.since ?? Date.now() } },
    );
  }

  #troubled(problem: Problem): void {
    if (problem.status === 401) {
      forgetKey();
      this.close();
      this.store.setState({ link: "refused", problem });
      return;
    }
    // The connection is taken up again by itself; the state of the link tells of it.
    if (problem.code === "service-ends") return;
    if (problem.conversation_id) this.#following.bar(problem.conversation_id, problem);
    else this.store.setState({ problem });
  }

  async #look(): Promise<void> {
    if (document.hidden) return;
    const ready = await readiness();
    // Parts of a service that does not answer are not known, and not to be shown as they were.
    this.store.setState({ ready });
  }

  #take(item: Envelope | Delta): void {
    this.#waiting.push(item);
    this.#drawing ??= window.setTimeout(() => this.#draw(), FRAME);
  }

  #draw(): void {
    this.#drawing = null;
    const items = this.#waiting;
    this.#waiting = [];
    this.store.setState((s) => {
      const transcripts = { ...s.transcripts };
      for (const item of items) {
        const id = item.conversation_id;
        const before = transcripts[id] ?? EMPTY;
        transcripts[id] = "seq" in item ? withEvent(before, item) : withDelta(before, item);
      }
      return { transcripts };
    });
  }
}
