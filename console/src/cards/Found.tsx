/** What a search found: files, their lines, and the truth about what was left out. */
import { visible } from "../visible.ts";
import { type FoundMode, foundIn } from "./found.ts";
import { Lines, Scrolled } from "./Lines.tsx";

/** Files that are drawn at once. */
const SHOWN = 250;

export function Found({ said, mode, label }: { said: string; mode: FoundMode; label: string }) {
  const found = foundIn(said, mode);
  const files = found.files.slice(0, SHOWN);
  const rest = found.files.length - files.length;
  return (
    <Scrolled className="found" label={label}>
      {found.words && <pre className="terminal">{visible(found.words)}</pre>}
      {files.length > 0 && (
        <ul>
          {files.map((file) => (
            <li key={`${file.path}:${file.lines[0]?.key ?? ""}`}>
              <span className="path">{visible(file.path)}</span>
              {file.count !== null && <span className="faint"> {file.count}</span>}
              {file.lines.length > 0 && (
                <Lines
                  marks="number"
                  lines={file.lines.map((line) => ({
                    key: line.key,
                    mark: line.number,
                    text: line.text,
                    className: line.match ? "match" : "around",
                  }))}
                />
              )}
            </li>
          ))}
        </ul>
      )}
      {rest > 0 && <p className="faint inset">… and {rest} more files</p>}
      {found.note && <p className="faint inset">{visible(found.note)}</p>}
    </Scrolled>
  );
}
