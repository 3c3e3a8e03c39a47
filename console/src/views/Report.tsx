/** The report of a task: what the log proves, and apart from it what the agent says, judged by that. */
import { FindingLine } from "../cards/Checked.tsx";
import type { Claim, DiffChecks, Report as Reported } from "../protocol.ts";
import { visible } from "../visible.ts";
import { duration, money } from "../words_for_people.ts";
import { Account } from "./Account.tsx";
import { Markdown } from "./Markdown.tsx";

export function Report({ report }: { report: Reported }) {
  const { evidence, state, prose, detail, account, criteria = [], claims = [] } = report;
  const { files, commands } = evidence;
  const contradicted = claims.filter((claim) => claim.judgement === "contradicted");
  return (
    <section className="report" aria-label="Report of the task">
      <h2>
        Report <span className={`chip ${state === "completed" ? "good" : "bad"}`}>{state}</span>
      </h2>
      {detail && <p>{visible(detail)}</p>}
      {contradicted.length > 0 && (
        <div className="contradicted" role="note">
          <h3>Contradicted by the evidence</h3>
          <Claims claims={contradicted} />
        </div>
      )}
      {criteria.length > 0 && (
        <>
          <h3>Acceptance criteria</h3>
          <ul>
            {criteria.map((item) => (
              <li key={item.criterion}>
                {visible(item.criterion)}{" "}
                <span className={`chip ${item.judgement === "contradicted" ? "bad" : "quiet"}`}>
                  {CRITERION[item.said]}
                  {item.said === "met" ? `, ${item.judgement}` : ""}
                </span>{" "}
                <span className="faint">
                  {visible([item.how, item.why].filter(Boolean).join(" "))}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
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
              )}{" "}
              {command.description && <span className="faint">{visible(command.description)}</span>}
            </li>
          ))}
        </ul>
      )}
      {evidence.checks && <Checks checks={evidence.checks} />}
      {!evidence.checks && evidence.checks_missing && (
        <p className="faint">Checks: {visible(evidence.checks_missing)}</p>
      )}
      <p className="faint">
        {counted(evidence.steps, "model call")}, {counted(evidence.tool_calls, "tool call")},{" "}
        {duration(evidence.duration_ms)}, {money(evidence.cost_dollars * 1e9)}; it ended with{" "}
        {evidence.stop_reason}.
      </p>
      {account && <Account account={account} unmentioned={report.unmentioned ?? []} />}
      {account && claims.length > contradicted.length && (
        <details>
          <summary>What it claims, and what the evidence says</summary>
          <Claims claims={claims.filter((claim) => claim.judgement !== "contradicted")} />
        </details>
      )}
      {!account && report.account_missing && (
        <p className="faint">There is no account of the task. {visible(report.account_missing)}</p>
      )}
      {prose && (
        <details>
          <summary>In the agent's own words (these prove nothing)</summary>
          <Markdown text={prose} />
        </details>
      )}
    </section>
  );
}

const CRITERION = {
  met: "said to be met",
  not_met: "said not to be met",
  unknown: "said to be unknown",
  unsaid: "nothing is said",
};

function Claims({ claims }: { claims: Claim[] }) {
  return (
    <ul>
      {claims.map((claim) => (
        <li key={`${claim.said} ${claim.why}`}>
          <span className={`chip ${TONES[claim.judgement]}`}>{claim.judgement}</span>{" "}
          {visible(shortened(claim.said))} <span className="faint">{visible(claim.why)}</span>
        </li>
      ))}
    </ul>
  );
}

/** What is claimed of a long command: how it begins, and what is said to have come of it. */
function shortened(said: string): string {
  if (said.length <= 240 && !said.includes("\n")) return said;
  const lines = said.split("\n");
  return `${lines[0]?.slice(0, 160)} … ${lines.at(-1)?.slice(-60)}`;
}

const TONES = { supported: "good", contradicted: "bad", unverified: "quiet" };

function Checks({ checks }: { checks: DiffChecks }) {
  const { findings, not_run: gaps, ran, checklist, notes } = checks;
  const fresh = findings.filter((finding) => finding.new !== false);
  const old = findings.length - fresh.length;
  const failed = checklist.filter((item) => item.verdict === "failed");
  const tools = ran.map((linter) => linter.tool).join(", ") || "nothing that a linter takes";
  return (
    <>
      <h3>Checks</h3>
      <p className="faint">
        {counted(fresh.length, "new finding")}
        {old > 0 && `, ${old} there before`} ({visible(tools)})
      </p>
      {fresh.length > 0 && (
        <ul>
          {fresh.map((finding) => (
            <li key={`${finding.path} ${finding.line} ${finding.rule} ${finding.message}`}>
              <FindingLine finding={finding} />
              {finding.new === null && <span className="faint"> not known whether new</span>}
            </li>
          ))}
        </ul>
      )}
      {gaps.map((gap) => (
        <p className="faint" key={`${gap.tool} ${gap.path} ${gap.reason}`}>
          Not run: {visible(`${gap.tool}: ${gap.reason}`)}
        </p>
      ))}
      {notes.map((note) => (
        <p className="faint" key={note}>
          {visible(note)}
        </p>
      ))}
      {checklist.length > 0 && (
        <details>
          <summary>
            Deployment checklist: {counted(failed.length, "item")} failed of {checklist.length}
          </summary>
          <ul>
            {checklist.map((item) => (
              <li key={item.id}>
                <span className={`chip ${VERDICTS[item.verdict]}`}>{item.verdict}</span>{" "}
                {visible(item.title)}{" "}
                <span className="faint">
                  {visible(item.proofs.find((proof) => proof.verdict === item.verdict)?.why ?? "")}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

/** Where the commits of a task with a checkout of its own went. */
function Branch({ evidence }: { evidence: Reported["evidence"] }) {
  const { branch, commits = [], more_commits = 0, handed_over, hand_over_detail } = evidence;
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
        {more_commits > 0 && <li className="faint">and {more_commits} more</li>}
      </ul>
    </>
  );
}

const VERDICTS = { passed: "good", failed: "bad", "not verifiable": "quiet" };

function ended(outcome: string, code: number | null): string {
  if (outcome !== "ok" && outcome !== "error") return outcome;
  return code === null ? "killed" : `exit ${code}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
