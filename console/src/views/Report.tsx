/** The report of a task: what the log proves, and apart from it what the agent says. */
import type { Report as Reported } from "../protocol.ts";
import { visible } from "../visible.ts";
import { duration, money } from "../words_for_people.ts";
import { Markdown } from "./Markdown.tsx";

export function Report({ report }: { report: Reported }) {
  const { evidence, state, prose, detail } = report;
  const { files, commands } = evidence;
  return (
    <section className="report" aria-label="Report of the task">
      <h2>
        Report <span className={`chip ${state === "completed" ? "good" : "bad"}`}>{state}</span>
      </h2>
      {detail && <p>{visible(detail)}</p>}
      <h3>Changed files</h3>
      {files.length === 0 && <p className="faint">None.</p>}
      {files.length > 0 && (
        <ul>
          {files.map((file) => (
            <li key={file.path}>
              <code>{visible(file.path)}</code>{" "}
              <span className="faint">
                {file.before === null ? "new, " : ""}+{file.lines_added} −{file.lines_removed}
              </span>
            </li>
          ))}
        </ul>
      )}
      <Branch evidence={evidence} />
      <h3>Commands</h3>
      {commands.length === 0 && <p className="faint">None.</p>}
      {commands.length > 0 && (
        <ul>
          {commands.map((command) => (
            <li key={command.seq}>
              <code>{visible(command.command.split("\n")[0] ?? "")}</code>{" "}
              <span className={`chip ${command.exit_code === 0 ? "good" : "bad"}`}>
                {ended(command.outcome, command.exit_code)}
              </span>{" "}
              {command.duration_ms > 0 && (
                <span className="faint">{duration(command.duration_ms)}</span>
              )}
            </li>
          ))}
        </ul>
      )}
      <p className="faint">
        {counted(evidence.steps, "model call")}, {counted(evidence.tool_calls, "tool call")},{" "}
        {duration(evidence.duration_ms)}, {money(evidence.cost_dollars * 1e9)}; it ended with{" "}
        {evidence.stop_reason}.
      </p>
      {prose && (
        <details>
          <summary>In the agent's own words (these prove nothing)</summary>
          <Markdown text={prose} />
        </details>
      )}
    </section>
  );
}

/** Where the commits of a task with a checkout of its own went. */
function Branch({ evidence }: { evidence: Reported["evidence"] }) {
  const { branch, commits = [], handed_over, hand_over_detail } = evidence;
  if (!branch)
    return hand_over_detail ? <p className="faint">{visible(hand_over_detail)}</p> : null;
  const good = handed_over === "updated" || handed_over === "unchanged";
  return (
    <>
      <h3>
        Branch <code>{visible(branch)}</code>{" "}
        {handed_over && <span className={`chip ${good ? "good" : "bad"}`}>{handed_over}</span>}
      </h3>
      {hand_over_detail && <p>{visible(hand_over_detail)}</p>}
      <ul>
        {commits.map((commit) => (
          <li key={commit.sha}>
            <code>{commit.sha.slice(0, 12)}</code> {visible(commit.subject)}
          </li>
        ))}
      </ul>
    </>
  );
}

function ended(outcome: string, code: number | null): string {
  if (outcome !== "ok" && outcome !== "error") return outcome;
  return code === null ? "killed" : `exit ${code}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
