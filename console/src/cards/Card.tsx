/** A tool call: what is asked, how it stands, what came of it. */
import { memo, useState } from "react";
import type { Call } from "../call.ts";
import type { Evidence } from "../protocol.ts";
import { visible } from "../visible.ts";
import { duration } from "../words_for_people.ts";
import { Ask } from "./Ask.tsx";
import { Changes } from "./Changes.tsx";
import { Checked } from "./Checked.tsx";
import { Diff } from "./Diff.tsx";
import { Elapsed } from "./Elapsed.tsx";
import { Found } from "./Found.tsx";
import type { FoundMode } from "./found.ts";
import { jobIn } from "./job.ts";
import { Picture } from "./Picture.tsx";
import { flag, given, images, words } from "./result.ts";
import { Source } from "./Source.tsx";
import { sourceIn } from "./source.ts";
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
    <section
      className={`card ${call.state}`}
      id={`call-${call.callId}`}
      aria-label={`${visible(call.tool)} ${subject(call)}`}
    >
      <button type="button" className="head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className="tool">{visible(call.tool) || "…"}</span>
        <span className="subject">{subject(call)}</span>
        <span className={`chip ${chip.tone}`}>
          {chip.text}
          {call.state === "running" && call.startedAt && <Elapsed since={call.startedAt} />}
        </span>
      </button>
      {call.approval && <Ask call={call} approval={call.approval} conversation={conversation} />}
      {open && <Body call={call} conversation={conversation} />}
      {open && call.changes && told(call) && (
        <Changes call={call} changes={call.changes} conversation={conversation} />
      )}
      {call.evidence.map(
        (item) => item.kind === "checked" && <Checked key="checked" item={item} />,
      )}
      {undoable(call) && <Undo call={call} conversation={conversation} />}
    </section>
  );
});

/** Whether the card tells of changes apart: Write and Edit show their own, if snapshots could be taken. */
function told(call: Call): boolean {
  return !["Edit", "Write"].includes(call.tool) || call.changes?.missed !== null;
}

/** Whether a card is open before anybody chose: what changes something is, what was looked at is not. */
function opens(call: Call): boolean {
  if (["Edit", "Write", "Bash"].includes(call.tool)) return true;
  return call.outcome === "error" || call.outcome === "unknown";
}

function subject(call: Call): string {
  return visible(asked(call));
}

function asked(call: Call): string {
  switch (call.tool) {
    case "Bash":
      return given(call, "description") || given(call, "command").split("\n")[0] || "";
    case "Read": {
      const offset = given(call, "offset");
      const limit = given(call, "limit");
      const pages = given(call, "pages");
      const range =
        offset || limit ? ` from line ${offset || 1}${limit ? `, ${limit} lines` : ""}` : "";
      return given(call, "file_path") + range + (pages ? `, pages ${pages}` : "");
    }
    case "Edit":
      return given(call, "file_path") + (flag(call, "replace_all") ? ", every occurrence" : "");
    case "Write":
      return given(call, "file_path");
    case "Grep":
    case "Glob": {
      const path = given(call, "path");
      const glob = given(call, "glob") || given(call, "type");
      return `${given(call, "pattern")}${path ? ` in ${path}` : ""}${glob ? ` (${glob})` : ""}`;
    }
    default:
      return given(call, "task_id") || first(call);
  }
}

/** The first text in the input of a call that the page does not know. */
function first(call: Call): string {
  if (call.input === null || typeof call.input !== "object") return "";
  return Object.values(call.input).find((value) => typeof value === "string") ?? "";
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
  if (changed) {
    const fresh = changed.before === null ? "new " : "";
    const found = call.evidence.find((e) => e.kind === "checked");
    const tone = found?.new?.length ? "bad" : "good";
    return { tone, text: `${fresh}+${changed.lines_added} −${changed.lines_removed}` };
  }
  const found = call.evidence.find((e) => e.kind === "searched");
  if (found) return { tone: found.matches ? "good" : "quiet", text: counted(call, found) };
  if (call.tool === "Read" && call.outcome === "ok") return { tone: "good", text: range(call) };
  if (call.tool === "TaskOutput" && jobIn(words(call))?.status === "running")
    return { tone: "busy", text: "still running" };
  return call.outcome === "error"
    ? { tone: "bad", text: "error" }
    : { tone: "good", text: `ok${took}` };
}

/** What was found, such as "13 files" or "39 lines, not all shown". */
function counted(call: Call, found: Evidence): string {
  const matches = found.matches ?? 0;
  if (!matches) return "nothing found";
  const unit = modeOf(call) === "paths" ? "file" : "line";
  return `${matches} ${unit}${matches === 1 ? "" : "s"}${found.cut ? ", not all shown" : ""}`;
}

/** Which lines were shown, such as "lines 3 to 14 of 28". */
function range(call: Call): string {
  const source = sourceIn(words(call));
  if (!source) return "ok";
  const part = /lines \d+ to \d+ of \d+/.exec(source.note ?? "");
  if (part) return part[0];
  return source.lines.length === 1 ? "1 line" : `${source.lines.length} lines`;
}

function modeOf(call: Call): FoundMode {
  const mode = call.tool === "Grep" ? given(call, "output_mode") : "";
  return mode === "content" || mode === "count" ? mode : "paths";
}

function Body({ call, conversation }: { call: Call; conversation: string }) {
  const path = given(call, "file_path");
  if (call.state === "writing")
    return <pre className="terminal">{visible(call.writing?.text ?? "")}</pre>;
  const found = call.evidence.some((e) => e.kind === "searched");
  const source = call.tool === "Read" && call.outcome === "ok" ? sourceIn(words(call)) : null;
  if (source) return <Source source={source} path={visible(path)} />;
  switch (call.tool) {
    case "Bash":
      return (
        <>
          <pre className="command">{visible(given(call, "command"))}</pre>
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
    case "Grep":
    case "Glob":
      if (!found) return <Output call={call} />;
      return <Found said={words(call)} mode={modeOf(call)} label={`Results of ${asked(call)}`} />;
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
  const job = call.tool === "TaskOutput" ? jobIn(words(call)) : null;
  const said = job ? [job.output, job.note].filter(Boolean).join("\n") : words(call);
  const text = call.state === "done" && !call.goesOn ? said : call.output.text || said;
  if (!text) return call.state === "running" ? <p className="faint inset">No output yet</p> : null;
  return <Terminal text={text} label={`Output of ${visible(call.tool)}`} />;
}
