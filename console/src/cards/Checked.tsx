/** What linters say of the file that a call wrote. */
import type { Evidence, Finding } from "../protocol.ts";
import { visible } from "../visible.ts";

export function Checked({ item }: { item: Evidence }) {
  const found = item.new ?? [];
  const gaps = item.not_run ?? [];
  return (
    <div className="checked inset">
      <p className={found.length ? "" : "faint"}>{summary(item)}</p>
      {found.length > 0 && (
        <ul>
          {found.map((finding) => (
            <li key={`${finding.tool} ${finding.rule} ${finding.line} ${finding.message}`}>
              <FindingLine finding={finding} />
            </li>
          ))}
        </ul>
      )}
      {gaps.map((gap) => (
        <p className="faint" key={gap}>
          Not checked: {visible(gap)}
        </p>
      ))}
    </div>
  );
}

export function FindingLine({ finding }: { finding: Finding }) {
  const { path, line, severity, tool, rule, message } = finding;
  return (
    <>
      <code>{visible(line === null ? path : `${path}:${line}`)}</code>{" "}
      <span className={`chip ${severity === "note" ? "quiet" : "bad"}`}>{severity}</span>{" "}
      {visible(`${tool} ${rule}: ${message}`)}
    </>
  );
}

/** Such as "Checks: 2 new findings, 1 that was there before (shellcheck)". */
export function summary(item: Evidence): string {
  const count = (item.new?.length ?? 0) + (item.more ?? 0);
  const tools = item.tools?.length ? ` (${item.tools.join(", ")})` : "";
  if (!count && !item.tools?.length) return "Checks: not checked";
  const fresh = item.known === false ? "" : "new ";
  const found = count ? `${count} ${fresh}finding${count === 1 ? "" : "s"}` : "no new finding";
  const old = item.old ? `, ${item.old} that ${item.old === 1 ? "was" : "were"} there before` : "";
  return visible(`Checks: ${found}${old}${tools}`);
}
