/** A command's output: ANSI colours as elements, escape sequences never as anything else. */
import Anser from "anser";
import { memo } from "react";
import { unturned } from "../visible.ts";
import { readable } from "./escapes.ts";

/** UTF-16 units that are shown at once: of longer output the end. */
const SHOWN = 60_000;

export const Terminal = memo(function Terminal({ text, label }: { text: string; label: string }) {
  const cut = text.length > SHOWN;
  const shown = readable(cut ? text.slice(-SHOWN) : text);
  const spans = Anser.ansiToJson(shown, { use_classes: true, remove_empty: true });
  let at = 0;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section className="scroll" aria-label={label} tabIndex={0}>
      <pre className="terminal">
        {cut && <span className="faint">{"… the beginning is left out\n"}</span>}
        {spans.map((span) => {
          at += span.content.length;
          const classes = [span.fg, span.bg && `${span.bg}-bg`, span.decoration].filter(Boolean);
          return (
            <span key={at} className={classes.join(" ") || undefined}>
              {unturned(span.content)}
            </span>
          );
        })}
      </pre>
    </section>
  );
});
