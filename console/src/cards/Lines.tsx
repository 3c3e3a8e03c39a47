/** Lines with what stands before each: their number, or the sign of what became of them. */
import type { ReactNode } from "react";
import { visible } from "../visible.ts";

export interface Line {
  key: string | number;
  text: string;
  /** What stands before the line, and how that is read out where it is a sign. */
  mark: string | number | null;
  spoken?: string;
  className?: string;
}

/** `marks` names the look of what stands before the lines. */
export function Lines({ lines, marks }: { lines: readonly Line[]; marks: "number" | "sign" }) {
  return (
    <table>
      <tbody>
        {lines.map((line) => (
          <tr key={line.key} className={line.className}>
            <td className={marks} aria-label={line.spoken}>
              {line.mark}
            </td>
            <td>
              <code>{visible(line.text)}</code>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A part of a card that scrolls, with what was left out below it. */
export function Scrolled({
  className,
  label,
  children,
}: {
  className: string;
  label: string;
  children: ReactNode;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section className={`scroll ${className}`} aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
