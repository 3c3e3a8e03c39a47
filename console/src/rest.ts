/** The REST doors that the page uses. Every refusal is a problem (RFC 9457), also when nobody answers. */
import type { Alerts, Operations } from "./operations.ts";
import type {
  AgentView,
  BudgetOrder,
  ConversationView,
  ExampleCrash,
  ExampleTask,
  ExampleView,
  ModelKeyView,
  Page,
  Problem,
  Readiness,
  TaskView,
  WorkspaceView,
} from "./protocol.ts";

export class Refused extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }
}

export class Rest {
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  /** Conversations, the newest first; `cursor` is the `next` of the page before. */
  conversations(cursor?: string): Promise<Page<ConversationView>> {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    return this.#ask(`/api/v1/conversations?limit=50${from}`);
  }

  conversation(id: string): Promise<ConversationView> {
    return this.#ask(`/api/v1/conversations/${id}`);
  }

  workspaces(): Promise<Page<WorkspaceView>> {
    return this.#ask("/api/v1/workspaces");
  }

  agents(): Promise<Page<AgentView>> {
    return this.#ask("/api/v1/agents");
  }

  example(): Promise<ExampleView> {
    return this.#ask("/api/v1/example");
  }

  prepareExample(): Promise<ExampleView> {
    return this.#ask("/api/v1/example", {});
  }

  crashExample(conversation: string): Promise<ExampleCrash> {
    return this.#ask("/api/v1/example/crash", { conversation_id: conversation });
  }

  delegate(order: ExampleTask): Promise<{ conversation_id: string }> {
    return this.#ask("/api/v1/tasks", order);
  }

  task(id: string): Promise<TaskView> {
    return this.#ask(`/api/v1/tasks/${id}`);
  }

  raiseBudget(conversation: string, order: BudgetOrder): Promise<unknown> {
    return this.#ask(`/api/v1/conversations/${conversation}/budget`, order);
  }

  /** The numbers of the service, with a history of so many minutes. Admins only. */
  operations(minutes = 60): Promise<Operations> {
    return this.#ask(`/api/v1/operations?minutes=${minutes}`);
  }

  /** The alerts that fire. Admins only. */
  alerts(): Promise<Alerts> {
    return this.#ask("/api/v1/alerts");
  }

  /** Whether there is a key of the model's API. Admins only. */
  modelKey(): Promise<ModelKeyView> {
    return this.#ask("/api/v1/model-key");
  }

  giveModelKey(key: string, unchecked: boolean): Promise<ModelKeyView> {
    return this.#ask("/api/v1/model-key", { key, unchecked }, "PUT");
  }

  /** The bytes of an image, as an address of this page alone; give it back with URL.revokeObjectURL. */
  async blob(conversation: string, sha256: string): Promise<string> {
    const answer = await this.#fetch(`/api/v1/conversations/${conversation}/blobs/${sha256}`);
    return URL.createObjectURL(await answer.blob());
  }

  /** What an event of the conversation changed in files, as text. */
  async difference(conversation: string, seq: number): Promise<string> {
    const answer = await this.#fetch(`/api/v1/conversations/${conversation}/diff?seq=${seq}`);
    return answer.text();
  }

  async #ask<T>(path: string, body?: unknown, method?: string): Promise<T> {
    const answer = await this.#fetch(path, body, method);
    return (await answer.json()) as T;
  }

  async #fetch(
    path: string,
    body?: unknown,
    method: string = body === undefined ? "GET" : "POST",
  ): Promise<Response> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#key}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    let answer: Response;
    try {
      answer = await fetch(path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch {
      throw new Refused({ title: "The service does not answer", status: 0 });
    }
    if (!answer.ok) throw new Refused(await problemOf(answer));
    return answer;
  }
}

/** How the service's parts are; null when it does not answer. Needs no key. */
export async function readiness(): Promise<Readiness | null> {
  try {
    const answer = await fetch("/ready");
    return (await answer.json()) as Readiness;
  } catch {
    return null;
  }
}

async function problemOf(answer: Response): Promise<Problem> {
  try {
    return (await answer.json()) as Problem;
  } catch {
    return { title: answer.statusText || "The service refused", status: answer.status };
  }
}
