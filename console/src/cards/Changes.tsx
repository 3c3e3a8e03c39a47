/** What a command changed in the workspace, by the snapshots around it; the difference is fetched when asked for. */
import { useState } from "react";
import { useAttempt } from "../attempt.ts";
import type { Call, Changes as Changed } from "../call.ts";
import { useDesk } from "../desk.ts";
import type { ChangedPath } from "../protocol.ts";
import { visible } from "../visible.ts";
import { differenceLines } from "./difference.ts";
import { Lines, Scrolled } from "./Lines.tsx";

/** Files that are named at once. */
const SHOWN = 20;
/** Lines of a difference that are shown at once. */
const LINES = 400;

export function Changes({
  call,
  changes,
  conversation,
}: {
  call: Call;
  changes: Changed;
  conversation: string;
}) {
  const desk = useDesk();
  const [text, setText] = useState<string | null>(null);
  const { busy, trouble, attempt } = useAttempt();
  if (changes.missed !== null) {
    return <p className="faint inset">Not covered by snapshots: {visible(changes.missed)}.</p>;
  }
  const files = changes.files.slice(0, SHOWN);
  const named = files.length > 0 || changes.more > 0;
  const more = changes.files.length - files.length + changes.more;
  const uncovered = changes.uncovered.length + changes.uncoveredMore;
  const show = () =>
    attempt(async () => setText(await desk.rest.difference(conversation, changes.seq)));
  const lines = text === null ? [] : differenceLines(text);
  return (
    <div className="asked">
      {named && (
        <ul className="changed" aria-label={`Files that ${visible(call.tool)} changed`}>
          {files.map((file) => (
            <li key={file.path}>
              <code>{visible(file.path)}</code> <span className="faint">{became(file)}</span>
            </li>
          ))}
          {more > 0 && <li className="faint">and {more} more</li>}
        </ul>
      )}
      {changes.git !== "" && <p className="faint">git: {visible(changes.git)}</p>}
      {uncovered > 0 && (
        <p className="faint" title={changes.uncovered.map((u) => `${u.path}: ${u.why}`).join("\n")}>
          {uncovered === 1 ? "1 path is" : `${uncovered} paths are`} not covered by snapshots
        </p>
      )}
      {trouble && <p role="alert">{trouble}</p>}
      {changes.diffBytes > 0 && text === null && (
        <div className="row">
          <button type="button" disabled={busy} onClick={() => void show()}>
            Show changes
          </button>
        </div>
      )}
      {text !== null && (
        <Scrolled className="diff" label={`Changes of ${visible(call.tool)}`}>
          <Lines marks="sign" lines={lines.slice(0, LINES)} />
          {lines.length > LINES && <p className="faint">… {lines.length - LINES} more lines</p>}
          {changes.diffCut && <p className="faint">Files that found no room are left out.</p>}
        </Scrolled>
      )}
    </div>
  );
}

/** What became of a path, such as "new +3 −0". */
function became(file: ChangedPath): string {
  const lines =
    file.lines_added || file.lines_removed ? `+${file.lines_added} −${file.lines_removed}` : "";
  const what = file.kind === "file" ? "" : ` ${file.kind}`;
  switch (file.change) {
    case "added":
      return `new${what} ${lines}`.trim();
    case "deleted":
      return `deleted${what} ${lines}`.trim();
    case "modified":
      return file.binary ? "changed, binary" : lines || "changed";
    case "mode":
      return "other permissions";
    case "type":
      return `a ${file.kind} now ${lines}`.trim();
  }
}
