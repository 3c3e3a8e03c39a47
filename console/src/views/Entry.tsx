/** A conversation in the list: how it stands, its title, where it works, who else looks at it. */
import { useDesk, useSlice } from "../desk.ts";
import type { ConversationView } from "../protocol.ts";
import { standing } from "../standing.ts";
import { visible } from "../visible.ts";

/** `chosen` is called when it is gone to, the open one too. */
export function Entry({ view, chosen }: { view: ConversationView; chosen: () => void }) {
  const desk = useDesk();
  const current = useSlice((s) => s.current === view.id);
  const transcript = useSlice((s) => s.transcripts[view.id]);
  const watching = useSlice((s) => s.present[view.id]?.count ?? 0);
  const { look, words } = standing(view, transcript);
  return (
    <li>
      <button
        type="button"
        className="entry"
        aria-current={current ? "page" : undefined}
        onClick={() => {
          chosen();
          void desk.open(view.id);
        }}
      >
        <span className={`dot ${look}`} aria-hidden="true" />
        <span className="title">{visible(view.title ?? "New conversation")}</span>
        <span className="faint">
          {words} · {visible(view.workspace)}
          {watching > 1 && ` · ${watching} here`}
        </span>
      </button>
    </li>
  );
}
