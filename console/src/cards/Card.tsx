/** A tool call: what is asked, how it stands, what came of it. */
import { memo, useState } from "react";
import type { Call } from "../transcript.ts";
import { duration } from "../words_for_people.ts";
import { Ask } from "./Ask.tsx";
import { Diff } from "./Diff.tsx";
import { Picture } from "./Picture.tsx";
import { given, images, words } from "./result.ts";
import { Terminal } from "./Terminal.tsx";
import { Undo, undoable } from "./Undo.tsx";

export const Card = memo(function Card({
  call,
  conversation,
}: {
  call: Call;
  conversation: string;
}) {
  const asks = call.approval?.state === "pending";
  const [chosen, setOpen] = useState<boolean | null>(null);
  const open = chosen ?? (asks || opens(call));
  const chip = chipOf(call);
  return (
    <section className={`card ${call.state}`} aria-label={`${call.tool} ${subject(call)}`}>
      <button type="button" className="head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className="tool">{call.tool || "…"}</span>
        <span className="subject">{subject(call)}</span>
        <span className={`chip ${chip.tone}`}>{chip.text}</span>
      </button>
      {call.approval && <Ask call={call} approval={call.approval} conversation={conversation} />}
      {open && <Body call={call} conversation={conversation} />}
      {undoable(call) && <Undo call={call} conversation={conversation} />}
    </section>
  );
});

/** Whether a card is open before anybody chose: what changes something is, what was looked at is not. */
function opens(call: Call): boolean {
  if (["Edit", "Write", "Bash"].includes(call.tool)) return true;
  return call.outcome === "error" || call.outcome === "unknown";
}

function subject(call: Call): string {
  switch (call.tool) {
    case "Bash":
      return given(call, "description") || given(call, "command").split("\n")[0] || "";
    case "Read": {
      const offset = given(call, "offset");
      const limit = given(call, "limit");
      const range =
        offset || limit ? ` from line ${offset || 1}${limit ? `, ${limit} lines` : ""}` : "";
      return given(call, "file_path") + range;
    }
    case "Edit":
    case "Write":
      return given(call, "file_path");
    case "Grep":
    case "Glob": {
      const path = given(call, "path");
      return given(call, "pattern") + (path ? ` in ${path}` : "");
    }
    default:
      return given(call, "task_id");
  }
}

interface Chip {
  tone: "good" | "bad" | "busy" | "quiet";
  text: string;
}

function chipOf(call: Call): Chip {
  if (call.state === "writing") return { tone: "busy", text: "writing…" };
  if (call.state === "waiting") {
    return call.approval?.state === "pending"
      ? { tone: "busy", text: "needs a yes" }
      : { tone: "quiet", text: "next" };
  }
  if (call.state === "running") return { tone: "busy", text: "running…" };
  const took = call.durationMs ? ` · ${duration(call.durationMs)}` : "";
  if (call.outcome === "unknown") return { tone: "bad", text: "outcome unknown" };
  if (call.outcome === "cancelled") return { tone: "quiet", text: "stopped" };
  if (call.outcome === "denied") return { tone: "bad", text: "denied" };
  const ran = call.evidence.find((e) => e.kind === "command_ran");
  if (ran) {
    const code = ran.timed_out
      ? "timed out"
      : ran.exit_code == null
        ? "killed"
        : `exit ${ran.exit_code}`;
    return { tone: ran.exit_code === 0 ? "good" : "bad", text: code + took };
  }
  if (call.evidence.some((e) => e.kind === "job_started"))
    return { tone: "busy", text: "in the background" };
  const changed = call.evidence.find((e) => e.kind === "file_changed");
  if (changed) return { tone: "good", text: `+${changed.lines_added} −${changed.lines_removed}` };
  const found = call.evidence.find((e) => e.kind === "searched");
  if (found) return { tone: "good", text: `${found.matches}${found.cut ? "+" : ""} found` };
  return call.outcome === "error"
    ? { tone: "bad", text: "error" }
    : { tone: "good", text: `ok${took}` };
}

function Body({ call, conversation }: { call: Call; conversation: string }) {
  const path = given(call, "file_path");
  if (call.state === "writing") return <pre className="terminal">{call.writing?.text}</pre>;
  switch (call.tool) {
    case "Bash":
      return (
        <>
          <pre className="command">{given(call, "command")}</pre>
          <Output call={call} />
        </>
      );
    case "Edit":
      return (
        <>
          <Diff before={given(call, "old_string")} after={given(call, "new_string")} path={path} />
          {call.outcome !== "ok" && <Output call={call} />}
        </>
      );
    case "Write":
      return (
        <>
          <Diff before="" after={given(call, "content")} path={path} />
          {call.outcome !== "ok" && <Output call={call} />}
        </>
      );
    default:
      return (
        <>
          {images(call).map((sha256) => (
            <Picture key={sha256} conversation={conversation} sha256={sha256} name={path} />
          ))}
          <Output call={call} />
        </>
      );
  }
}

function Output({ call }: { call: Call }) {
  const text =
    call.state === "done" && !call.goesOn ? words(call) : call.output.text || words(call);
  if (!text) return call.state === "running" ? <p className="faint inset">No output yet</p> : null;
  return <Terminal text={text} label={`Output of ${call.tool}`} />;
}
