/** The scripted example: the button that has it played, and what stands above its conversations. */
import { useEffect, useState } from "react";
import { useAttempt } from "../attempt.ts";
import { useDesk, useSlice } from "../desk.ts";
import {
  callOf,
  hasAnother,
  killWorker,
  lookAtExample,
  playExample,
  runningBash,
} from "../example.ts";
import type { Transcript } from "../items.ts";
import type { ExampleCrash, ExampleView } from "../protocol.ts";
import { isOpen } from "../run.ts";
import { Trouble } from "./Trouble.tsx";

/** Milliseconds between two looks at the workers while something happens. */
const LOOK_EVERY = 1_500;

/** The offer to play it; `prominent` where there is no model to ask instead. */
export function ExampleOffer({ prominent }: { prominent: boolean }) {
  const desk = useDesk();
  const example = useSlice((s) => s.example);
  const { busy, trouble, attempt } = useAttempt();
  if (example === null || example.state === "not-offered") return null;
  return (
    <section className="offer" aria-label="Scripted example">
      <p>
        See it at work without a key: an orchestrator's delegation, on a copy of a small repository.
        The model's words are scripted, everything else is real. You may kill the worker in the
        middle of a command.
      </p>
      <p className="row">
        <button
          type="button"
          className={prominent ? "primary" : undefined}
          disabled={busy}
          onClick={() => void attempt(() => playExample(desk))}
        >
          Play the scripted example
        </button>
        <span role="status" className="faint">
          {busy && "Preparing: the repository is copied, two workers are started…"}
        </span>
      </p>
      <Trouble words={trouble} />
    </section>
  );
}

interface Played {
  id: string;
  /** The id of the workspace, once it is known. */
  workspace: string | undefined;
  transcript: Transcript;
}

/** Says that the model is scripted, who works, and lets the worker be killed. Nothing elsewhere. */
export function ExampleBanner({ id, workspace, transcript }: Played) {
  const example = useSlice((s) => s.example);
  if (!example || !workspace || !example.workspaces.includes(workspace)) return null;
  return <Banner id={id} example={example} transcript={transcript} />;
}

function Banner({
  id,
  example,
  transcript,
}: {
  id: string;
  example: ExampleView;
  transcript: Transcript;
}) {
  const desk = useDesk();
  const [crash, setCrash] = useState<ExampleCrash | null>(null);
  const { busy, trouble, attempt } = useAttempt();
  const open = isOpen(transcript.run);
  useEffect(() => {
    void lookAtExample(desk);
    if (!open) return;
    const timer = window.setInterval(() => void lookAtExample(desk), LOOK_EVERY);
    return () => window.clearInterval(timer);
  }, [desk, open]);
  const kill = () => attempt(async () => setCrash(await killWorker(desk, id)));
  const running = runningBash(transcript);
  const mine = example.state !== "not-offered";
  const another = hasAnother(example);
  const offered = mine && running !== null && running.callId !== crash?.call_id;
  return (
    <section className="scripted" aria-label="Scripted example">
      <details>
        <summary>
          <strong>Scripted example:</strong> the model's words come from a file
        </summary>
        <p>
          They are played by a simulator on this machine; queue, log, tools, sandbox and files are
          real. Costs are what such calls would cost.
        </p>
      </details>
      {open && mine && <p className="faint">{workers(example)}</p>}
      {offered && (
        <p className="row">
          <button
            type="button"
            className="danger"
            disabled={busy || !another}
            onClick={() => void kill()}
          >
            Kill the worker now (SIGKILL)
          </button>
          <span className="faint">
            {another
              ? `The process that runs this command dies at once; ${about(example.lease_seconds)} later another takes over, and does not repeat the command in silence.`
              : "In a few seconds: the worker that is to take over is still starting."}
          </span>
        </p>
      )}
      <p role="status">{crash && story(crash, transcript, example)}</p>
      <Trouble words={trouble} />
    </section>
  );
}

function workers(example: ExampleView): string {
  if (example.state === "failed") return example.detail ?? "The example cannot be played.";
  if (example.state === "off") return "Its workers have ended; they start again for this run.";
  if (example.workers.length === 0) return "Two workers are starting, which takes a few seconds.";
  const words = { starting: "starting", idle: "free", working: "at work" };
  return `Workers: ${example.workers.map((w) => `process ${w.pid} (${words[w.state]})`).join(", ")}`;
}

function about(seconds: number): string {
  return `about ${Math.ceil(seconds)} seconds`;
}

/** What became of the worker that was killed and of its call. */
function story(crash: ExampleCrash, transcript: Transcript, example: ExampleView): string {
  const call = callOf(transcript, crash.call_id);
  const killed = `Process ${crash.pid} was killed in the middle of a command.`;
  if (call?.outcome === "unknown") {
    return `${killed} Another worker took the run over and recorded that call as “outcome unknown”: the agent looks at the state before it does anything again.`;
  }
  if (call?.state === "done") return `${killed} The command had ended just before.`;
  return `${killed} Nobody is at the run now; the lease ends ${about(example.lease_seconds)} after the last sign of life.`;
}
