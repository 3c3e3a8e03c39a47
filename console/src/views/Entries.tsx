/** The entries of a transcript: words, answers, notes and reports. */
import { memo } from "react";
import { Card } from "../cards/Card.tsx";
import type { Answer, Item, Note, Reported, Said } from "../transcript.ts";
import { cached, clock, duration, money } from "../words_for_people.ts";
import { Markdown } from "./Markdown.tsx";

export const Entry = memo(function Entry({
  item,
  conversation,
}: {
  item: Item;
  conversation: string;
}) {
  switch (item.kind) {
    case "said":
      return <Words said={item} />;
    case "answer":
      return <Reply answer={item} conversation={conversation} />;
    case "note":
      return <Remark note={item} />;
    case "report":
      return <Report reported={item} />;
  }
});

function Words({ said }: { said: Said }) {
  return (
    <article className="said" aria-label={`${said.principal} said`}>
      <p className="by">
        {said.principal} <time dateTime={said.at}>{clock(said.at)}</time>
        {said.during && !said.read && <span className="chip busy">joins at the next step</span>}
      </p>
      <p className="verbatim">{said.text}</p>
    </article>
  );
}

function Reply({ answer, conversation }: { answer: Answer; conversation: string }) {
  if (answer.pieces.length === 0) {
    return answer.live ? (
      <article className="answer" aria-busy="true">
        <p className="faint thinking-dots">Thinking</p>
      </article>
    ) : null;
  }
  const cache = answer.usage && cached(answer.usage);
  return (
    <article
      className={answer.withdrawn ? "answer withdrawn" : "answer"}
      aria-busy={answer.live}
      aria-label="Flynn answers"
    >
      {answer.withdrawn && (
        <p className="faint">Taken back: the model does not see this any more.</p>
      )}
      {answer.pieces.map((piece, index) =>
        piece.type === "call" ? (
          <Card key={piece.callId} call={piece} conversation={conversation} />
        ) : piece.type === "thinking" ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces keep their place
          <details key={index} className="thinking">
            <summary>Thinking</summary>
            <p className="verbatim">{piece.text}</p>
          </details>
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces keep their place
          <Markdown key={index} text={piece.text} />
        ),
      )}
      {answer.nanodollars !== null && (
        <p className="cost faint">
          {money(answer.nanodollars)}
          {cache && `, ${cache}`}
          <span className="model"> · {answer.model}</span>
        </p>
      )}
    </article>
  );
}

function Remark({ note }: { note: Note }) {
  return (
    <p className={`note ${note.tone}`}>
      {note.text} {note.detail && <span className="faint">{note.detail}</span>}
    </p>
  );
}

function Report({ reported }: { reported: Reported }) {
  const { evidence, state, prose } = reported.report;
  return (
    <section className="report" aria-label="Report of the task">
      <h2>
        Report <span className={`chip ${state === "completed" ? "good" : "bad"}`}>{state}</span>
      </h2>
      {evidence.files.length > 0 && (
        <>
          <h3>Changed files</h3>
          <ul>
            {evidence.files.map((file) => (
              <li key={file.path}>
                <code>{file.path}</code>{" "}
                <span className="faint">
                  {file.before === null ? "new, " : ""}+{file.lines_added} −{file.lines_removed}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
      {evidence.commands.length > 0 && (
        <>
          <h3>Commands</h3>
          <ul>
            {evidence.commands.map((command) => (
              <li key={command.seq}>
                <code>{command.command.split("\n")[0]}</code>{" "}
                <span className={`chip ${command.exit_code === 0 ? "good" : "bad"}`}>
                  {command.outcome === "ok" || command.outcome === "error"
                    ? `exit ${command.exit_code ?? "?"}`
                    : command.outcome}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
      <p className="faint">
        {evidence.steps} model calls, {evidence.tool_calls} tool calls,{" "}
        {duration(evidence.duration_ms)}, {money(evidence.cost_dollars * 1e9)}
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
