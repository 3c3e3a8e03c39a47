/** The entries of a transcript: words, answers, notes and reports. */
import { memo } from "react";
import type { Answer } from "../answer.ts";
import { Card } from "../cards/Card.tsx";
import type { Item, Note, Said } from "../items.ts";
import { unturned, visible } from "../visible.ts";
import { cached, clock, money } from "../words_for_people.ts";
import { CopyButton } from "./CopyButton.tsx";
import { Markdown } from "./Markdown.tsx";
import { Report } from "./Report.tsx";

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
      return <Report report={item.report} />;
  }
});

function Words({ said }: { said: Said }) {
  return (
    <article className="said" aria-label={`${visible(said.principal)} said`}>
      <p className="by">
        {visible(said.principal)} <time dateTime={said.at}>{clock(said.at)}</time>
        {said.during && !said.read && (
          <span className="chip busy">
            {said.missed ? "not read: the run had ended" : "joins at the next step"}
          </span>
        )}
      </p>
      <p className="verbatim" dir="auto">
        {unturned(said.text)}
      </p>
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
  const prose = answer.pieces.flatMap((piece) => (piece.type === "text" ? [piece.text] : []));
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
            <p className="verbatim">{unturned(piece.text)}</p>
          </details>
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces keep their place
          <Markdown key={index} text={piece.text} streaming={piece.streaming !== null} />
        ),
      )}
      {answer.nanodollars !== null && (
        <p className="cost faint">
          {money(answer.nanodollars)}
          {cache && `, ${cache}`}
          <span className="model"> · {answer.model}</span>
          {prose.length > 0 && <CopyButton what="the answer" text={() => prose.join("\n\n")} />}
        </p>
      )}
    </article>
  );
}

function Remark({ note }: { note: Note }) {
  return (
    <p className={`note ${note.tone}`}>
      {visible(note.text)} {note.detail && <span className="faint">{visible(note.detail)}</span>}
    </p>
  );
}
