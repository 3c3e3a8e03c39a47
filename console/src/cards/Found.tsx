/** What a search found: files, their lines, and the truth about what was left out. */
import { visible } from "../visible.ts";
import { type FoundMode, foundIn } from "./found.ts";

/** Files that are drawn at once. */
const SHOWN = 250;

export function Found({ said, mode, label }: { said: string; mode: FoundMode; label: string }) {
  const found = foundIn(said, mode);
  const files = found.files.slice(0, SHOWN);
  const rest = found.files.length - files.length;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section className="scroll found" aria-label={label} tabIndex={0}>
      {found.words && <pre className="terminal">{visible(found.words)}</pre>}
      {files.length > 0 && (
        <ul>
          {files.map((file) => (
            <li key={`${file.path}:${file.lines[0]?.key ?? ""}`}>
              <span className="path">{visible(file.path)}</span>
              {file.count !== null && <span className="faint"> {file.count}</span>}
              {file.lines.length > 0 && (
                <table>
                  <tbody>
                    {file.lines.map((line) => (
                      <tr key={line.key} className={line.match ? "match" : "around"}>
                        <td className="number">{line.number}</td>
                        <td>
                          <code>{visible(line.text)}</code>
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              )}
            </li>
          ))}
        </ul>
      )}
      {rest > 0 && <p className="faint inset">… and {rest} more files</p>}
      {found.note && <p className="faint inset">{visible(found.note)}</p>}
    </section>
  );
}
