/** The scripted example: having it prepared and played, and killing its worker in the middle. */

import type { Call } from "./call.ts";
import type { Transcript } from "./items.ts";
import type { ExampleCrash, ExampleView } from "./protocol.ts";
import { Refused } from "./rest.ts";
import type { Desk } from "./store.ts";

/** Read how the example stands; what is known stays when the service does not say. */
export async function lookAtExample(desk: Desk): Promise<void> {
  try {
    desk.store.setState({ example: await desk.rest.example() });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
}

/** Have it prepared, delegate its task as every task is, and open the conversation. Rejects with Refused. */
export async function playExample(desk: Desk): Promise<void> {
  const example = await desk.rest.prepareExample();
  desk.store.setState({ example });
  if (example.task === null) throw new Refused({ title: "The example is not ready", status: 0 });
  const task = await desk.rest.delegate(example.task);
  await desk.refresh();
  await desk.open(task.conversation_id);
}

/** Kill the worker that is in the middle of a Bash call there. Rejects with Refused. */
export async function killWorker(desk: Desk, conversation: string): Promise<ExampleCrash> {
  const crash = await desk.rest.crashExample(conversation);
  void lookAtExample(desk);
  return crash;
}

/** Whether one more than the worker that is killed is there, to take over; the service refuses it before. */
export function hasAnother(example: ExampleView): boolean {
  return example.workers.filter((worker) => worker.state !== "starting").length > 1;
}

/** The Bash call that is running, null without one. */
export function runningBash(transcript: Transcript): Call | null {
  if (transcript.run?.state !== "running") return null;
  return find(transcript, (call) => call.tool === "Bash" && call.state === "running");
}

export function callOf(transcript: Transcript, callId: string): Call | null {
  return find(transcript, (call) => call.callId === callId);
}

function find(transcript: Transcript, fits: (call: Call) => boolean): Call | null {
  for (let i = transcript.items.length - 1; i >= 0; i -= 1) {
    const item = transcript.items[i];
    if (item?.kind !== "answer") continue;
    for (const piece of item.pieces) if (piece.type === "call" && fits(piece)) return piece;
  }
  return null;
}
