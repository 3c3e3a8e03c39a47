/** Where words are written: sending also while the agent is at work, and stopping it. */
import { useEffect, useRef, useState } from "react";

interface Composing {
  /** Whether a run is open. */
  busy: boolean;
  stopping: boolean;
  hint: string;
  placeholder?: string;
  /** Words given back by somebody who took them back; new ones replace the draft. */
  draft: string;
  send: (text: string) => void;
  stop: () => void;
}

/** What the keyboard does where nothing else is to be said. */
export const KEYS = "Enter sends, Shift+Enter begins a line";

/** Lines that the field grows to. */
const TALLEST = 220;

export function Composer({
  busy,
  stopping,
  hint,
  placeholder = "What is to be done?",
  draft,
  send,
  stop,
}: Composing) {
  const [text, setText] = useState(draft);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (draft) setText(draft);
  }, [draft]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text
  useEffect(() => {
    const area = field.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, TALLEST)}px`;
  }, [text]);
  const submit = () => {
    if (!text.trim()) return;
    send(text);
    setText("");
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <label htmlFor="words" className="hidden">
        Message
      </label>
      <textarea
        id="words"
        ref={field}
        rows={1}
        value={text}
        placeholder={placeholder}
        aria-describedby="hint"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            submit();
          }
        }}
      />
      <div className="row">
        <span id="hint" className={hint === KEYS ? "faint idle" : "faint"}>
          {hint}
        </span>
        {busy && (
          <button type="button" onClick={stop} disabled={stopping} aria-keyshortcuts="Escape">
            {stopping ? "Stopping…" : "Stop"}
          </button>
        )}
        <button type="submit" className="primary" disabled={!text.trim()}>
          Send
        </button>
      </div>
    </form>
  );
}
