/** The lines of a file that the agent was shown, with their numbers. */
import { visible } from "../visible.ts";
import { Lines, Scrolled } from "./Lines.tsx";
import type { Source as Shown } from "./source.ts";

/** Lines that are drawn at once. */
const SHOWN = 600;

export function Source({ source, path }: { source: Shown; path: string }) {
  const rest = source.lines.length - SHOWN;
  return (
    <Scrolled className="source" label={`Lines of ${path}`}>
      <Lines
        marks="number"
        lines={source.lines.slice(0, SHOWN).map((line) => ({
          key: line.number,
          mark: line.number,
          text: line.text,
        }))}
      />
      {rest > 0 && <p className="faint inset">… and {rest} more lines</p>}
      {source.note && <p className="faint inset">{visible(source.note)}</p>}
    </Scrolled>
  );
}
