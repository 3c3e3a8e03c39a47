/** The Socket.IO connection: one for the page, made again whenever it broke, its session taken up again. */
import { io, type Socket } from "socket.io-client";
import { read, write } from "./key.ts";
import type { Delta, Envelope, Notice, PresenceNotice, Problem } from "./protocol.ts";
import { Refused } from "./rest.ts";

const SESSION = "flynn.session";
/** Milliseconds in which a call has to be acknowledged. */
const PATIENCE = 15_000;

export interface Listener {
  /** The service has let us in. Whatever is watched has to be opened (again) now. */
  welcomed(principal: string): void;
  heard(event: Envelope): void;
  streamed(delta: Delta): void;
  troubled(problem: Problem): void;
  noticed(notice: PresenceNotice): void;
  /** An alert began or is over. */
  alerted(): void;
  /** The connection is away; `cause` says why, as far as the page knows. */
  lost(cause: string): void;
}

interface Welcome {
  session: string;
  principal: string;
}

type Answer = { ok: true } & Record<string, unknown>;

export class Connection {
  readonly #socket: Socket;

  constructor(key: string, listener: Listener) {
    const session = read(window.sessionStorage, SESSION) ?? undefined;
    let present = session;
    this.#socket = io({
      transports: ["websocket"],
      auth: (give) => give({ token: key, session: present }),
      reconnectionDelay: 300,
      reconnectionDelayMax: 3_000,
    });
    this.#socket.on("session", (welcome: Welcome) => {
      present = welcome.session;
      write(window.sessionStorage, SESSION, welcome.session);
      listener.welcomed(welcome.principal);
    });
    this.#socket.on("event", (event: Envelope) => listener.heard(event));
    this.#socket.on("delta", (delta: Delta) => listener.streamed(delta));
    this.#socket.on("problem", (problem: Problem) => listener.troubled(problem));
    this.#socket.on("notice", (notice: Notice) => {
      if (notice.kind === "presence") listener.noticed(notice);
      if (notice.kind === "alert") listener.alerted();
    });
    this.#socket.on("disconnect", (reason) => {
      listener.lost(causeOf(reason));
      // Told to go by the service itself: the client's library would stay away then.
      if (reason === "io server disconnect") setTimeout(() => this.#socket.connect(), 500);
    });
    this.#socket.on("connect_error", () => listener.lost(causeOf("connect_error")));
    window.addEventListener("online", this.#retry);
    window.addEventListener("offline", this.#retry);
  }

  /**
   * The device has lost its network, or has one again. An open connection may not notice for half a minute;
   * a new one tells the truth at once, and what is on this very machine goes on.
   */
  readonly #retry = () => {
    this.#socket.disconnect().connect();
  };

  /** Make a call. Rejects with Refused; a connection that breaks meanwhile has status 0. */
  async call(name: string, order: Record<string, unknown>): Promise<Answer> {
    if (!this.#socket.connected) throw new Refused({ title: "Not connected", status: 0 });
    let answer: Answer | { error: Problem };
    try {
      answer = await this.#socket.timeout(PATIENCE).emitWithAck(name, order);
    } catch {
      throw new Refused({ title: "The service did not acknowledge", status: 0 });
    }
    if ("error" in answer) throw new Refused(answer.error as Problem);
    return answer as Answer;
  }

  close(): void {
    window.removeEventListener("online", this.#retry);
    window.removeEventListener("offline", this.#retry);
    this.#socket.disconnect();
  }
}

function causeOf(reason: string): string {
  if (!navigator.onLine) return "This device is offline.";
  switch (reason) {
    case "ping timeout":
      return "Nothing has come from the service for a while.";
    case "io server disconnect":
      return "The service ended the connection.";
    case "connect_error":
      return "The service does not answer.";
    default:
      return "The connection broke.";
  }
}
