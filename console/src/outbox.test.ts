// @vitest-environment happy-dom
import { beforeEach, describe, expect, test } from "vitest";
import { type Letter, readOutbox } from "./letter.ts";
import { Outbox } from "./outbox.ts";
import type { Problem } from "./protocol.ts";
import { Refused } from "./rest.ts";
import { newStore } from "./state.ts";

const NO_KEY: Problem = { title: "No key", status: 409, code: "model-key-missing" };
const NOBODY: Problem = { title: "Not connected", status: 0 };

/** The service as the outbox meets it: it takes a letter after a moment, or answers with `problem`. */
class Service {
  problem: Problem | null = null;
  taken: string[] = [];
  met: string[] = [];
  atOnce = 0;
  most = 0;

  async take(letter: Letter): Promise<void> {
    this.met.push(letter.text);
    this.atOnce += 1;
    this.most = Math.max(this.most, this.atOnce);
    // What comes first takes longest, so that whoever does not wait overtakes it.
    await new Promise((done) => setTimeout(done, this.met.length === 1 ? 20 : 1));
    this.atOnce -= 1;
    if (this.problem) throw new Refused(this.problem);
    this.taken.push(letter.text);
  }
}

beforeEach(() => window.sessionStorage.clear());

function made() {
  const service = new Service();
  const store = newStore();
  const outbox = new Outbox(store, (letter) => service.take(letter));
  return { service, store, outbox };
}

describe("the outbox", () => {
  test("sends words in the order in which they were said, one at a time", async () => {
    const { service, store, outbox } = made();
    await Promise.all([outbox.say("c", "one"), outbox.say("c", "two"), outbox.say("d", "three")]);
    expect(service.taken).toEqual(["one", "two", "three"]);
    expect(service.most).toBe(1);
    expect(store.getState().outbox).toEqual([]);
    expect(readOutbox()).toEqual([]);
  });

  test("sends words that were refused for want of a key in their order once there is one", async () => {
    const { service, store, outbox } = made();
    service.problem = NO_KEY;
    await outbox.say("c", "one");
    await outbox.say("c", "two");
    expect(store.getState().outbox.map((l) => [l.refused, l.code])).toEqual([
      ["No key", "model-key-missing"],
      ["No key", "model-key-missing"],
    ]);
    service.problem = null;
    service.met = [];
    await outbox.retry("model-key-missing");
    expect(service.taken).toEqual(["one", "two"]);
    expect(service.most).toBe(1);
  });

  test("keeps them waiting when the key comes while the connection is away, also over a reload", async () => {
    const { service, store, outbox } = made();
    service.problem = NO_KEY;
    await outbox.say("c", "one");
    await outbox.say("c", "two");
    service.problem = NOBODY;
    await outbox.retry("model-key-missing");
    expect(store.getState().outbox.every((l) => l.refused === null && !("code" in l))).toBe(true);
    expect(readOutbox()).toEqual(store.getState().outbox);
    // A reload, and a connection again.
    const later = made();
    await later.outbox.send();
    expect(later.service.taken).toEqual(["one", "two"]);
  });

  test("lets nothing overtake what got no answer in the same conversation", async () => {
    const { service, store, outbox } = made();
    service.problem = NOBODY;
    await outbox.say("c", "one");
    service.met = [];
    await outbox.say("c", "two");
    await outbox.say("d", "elsewhere");
    expect(service.met).toEqual(["one", "one", "elsewhere"]);
    service.problem = null;
    await outbox.send();
    expect(service.taken).toEqual(["one", "two", "elsewhere"]);
    expect(store.getState().outbox).toEqual([]);
  });

  test("leaves other refusals to the person, and goes on with what follows", async () => {
    const { service, store, outbox } = made();
    service.problem = { title: "Too long", status: 422 };
    await outbox.say("c", "one");
    service.problem = null;
    await outbox.retry("model-key-missing");
    await outbox.say("c", "two");
    expect(service.taken).toEqual(["two"]);
    const [letter] = store.getState().outbox;
    expect(letter?.refused).toBe("Too long");
    expect(outbox.takeBack(letter?.id ?? "")).toBe("one");
    expect(store.getState().outbox).toEqual([]);
  });
});
