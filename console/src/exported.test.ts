import { expect, test } from "vitest";
import { exported } from "./exported.ts";
import { EMPTY } from "./items.ts";
import type { Envelope } from "./protocol.ts";
import { withEvent } from "./transcript.ts";

test("a transcript as Markdown, whose fences no output can end", () => {
  const data: [string, unknown][] = [
    ["message.sent", { principal: "ada", text: "look\nhere", client_message_id: null }],
    ["step.started", { step: 1, input_seqs: [1], model: "haiku" }],
    [
      "message.completed",
      {
        step: 1,
        model: "haiku",
        content: [
          { type: "text", text: "I look." },
          { type: "tool_use", id: "t", name: "Bash", input: { command: "cat x" } },
        ],
      },
    ],
    ["step.completed", { step: 1, nanodollars: 4_100_000, usage: null }],
    [
      "tool.finished",
      {
        call_id: "t",
        outcome: "ok",
        content: [{ type: "tool_result", content: "```\nend" }],
        evidence: [],
        duration_ms: 1,
      },
    ],
  ];
  const transcript = data
    .map(([type, d], i) => ({ type, data: d, seq: i + 1, at: "now" }) as unknown as Envelope)
    .reduce(withEvent, EMPTY);
  expect(exported("Chat", transcript)).toBe(
    [
      "# Chat",
      "**ada** (now)",
      "> look\n> here",
      "I look.",
      "**Bash** (ok)",
      "```\ncat x\n```",
      "````\n```\nend\n````",
      "_$0.0041 · haiku_\n",
    ].join("\n\n"),
  );
});
