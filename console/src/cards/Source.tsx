/** The lines of a file that the agent was shown, with their numbers. */
import { visible } from "../visible.ts";
import type { Source as Lines } from "./source.ts";

/** Lines that are drawn at once. */
const SHOWN = 600;

export function Source({ source, path }: { source: Lines; path: string }) {
  const rest = source.lines.length - SHOWN;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section className="scroll source" aria-label={`Lines of ${path}`} tabIndex={0}>
      <table>
        <tbody>
          {source.lines.slice(0, SHOWN).map((line) => (
            <tr key={line.number}>
              <td className="number">{line.number}</td>
              <td>
                <code>{visible(line.text)}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rest > 0 && <p className="faint inset">… and {rest} more lines</p>}
      {source.note && <p className="faint inset">{visible(source.note)}</p>}
    </section>
  );
}
