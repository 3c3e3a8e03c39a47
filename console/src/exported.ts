/** A transcript as one Markdown text, to be kept or sent. */

import type { Call } from "./call.ts";
import { given, words } from "./cards/result.ts";
import type { Item, Transcript } from "./items.ts";
import type { Report } from "./protocol.ts";
import { money } from "./words_for_people.ts";

export function exported(title: string, transcript: Transcript): string {
  const parts = transcript.items.map(itemText).filter(Boolean);
  return `# ${title}\n\n${parts.join("\n\n")}\n`;
}

function itemText(item: Item): string {
  switch (item.kind) {
    case "said":
      return `**${item.principal}** (${item.at})\n\n${quoted(item.text)}`;
    case "answer": {
      const said = item.pieces
        .filter((piece) => piece.type !== "thinking")
        .map((piece) => (piece.type === "call" ? callText(piece) : piece.text));
      if (item.nanodollars !== null) said.push(`_${money(item.nanodollars)} · ${item.model}_`);
      return said.join("\n\n");
    }
    case "note":
      return `_${item.text}${item.detail ? ` ${item.detail}` : ""}_`;
    case "report":
      return reportText(item.report);
  }
}

function reportText(report: Report): string {
  const wrong = (report.claims ?? [])
    .filter((claim) => claim.judgement === "contradicted")
    .map((claim) => `- contradicted: ${claim.said}. ${claim.why}`);
  const said = [report.account?.summary, report.prose].filter((text): text is string => !!text);
  return [`## Report: ${report.state}`, wrong.join("\n"), ...said.map(quoted)]
    .filter(Boolean)
    .join("\n\n");
}

function callText(call: Call): string {
  const asked = given(call, "command") || JSON.stringify(call.input);
  const said = words(call);
  const came = said ? `\n\n${fenced(said)}` : "";
  return `**${call.tool}** (${call.outcome ?? call.state})\n\n${fenced(asked)}${came}`;
}

/** A fence longer than any in the text, so that the text cannot end it. */
function fenced(text: string): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text.replace(/\n$/, "")}\n${fence}`;
}

function quoted(text: string): string {
  return text
    .split("\n")
    .map((line) => `> ${line}`)
    .join("\n");
}
