/** One conversation: its transcript, what the run is doing, and where words are written. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { useDesk, useSlice } from "../desk.ts";
import { Refused } from "../rest.ts";
import { EMPTY, isOpen } from "../transcript.ts";
import { doing, money } from "../words_for_people.ts";
import { Composer } from "./Composer.tsx";
import { Entry } from "./Entries.tsx";
import { ModelKey } from "./ModelKey.tsx";
import { ExampleBanner } from "./Example.tsx";

/** Pixels from the end within which the transcript follows what is new. */
const NEAR = 80;

export function Conversation({ id }: { id: string }) {
  const desk = useDesk();
  const transcript = useSlice((s) => s.transcripts[id]) ?? EMPTY;
  const outbox = useSlice((s) => s.outbox);
  const link = useSlice((s) => s.link);
  const view = useSlice((s) => s.conversations.find((c) => c.id === id));
  const letters = outbox.filter((letter) => letter.conversation === id);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [draft, setDraft] = useState("");
  const busy = isOpen(transcript.run);
  const attempt = useCallback(async (work: Promise<unknown>) => {
    setTrouble(null);
    try {
      await work;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setTrouble(error.message);
    }
  }, []);
  const stop = useCallback(() => void attempt(desk.interrupt(id)), [attempt, desk, id]);

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key === "Escape" && busy && !event.defaultPrevented) stop();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [busy, stop]);

  const end = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is new is followed, whatever it is
  useLayoutEffect(() => {
    const box = end.current;
    if (box && following.current) box.scrollTop = box.scrollHeight;
  }, [transcript, letters.length]);

  const state = doing(transcript.run, transcript.stopping);
  const spent = transcript.items.reduce(
    (sum, item) => sum + (item.kind === "answer" ? (item.nanodollars ?? 0) : 0),
    0,
  );
  return (
    <main className="conversation">
      <header>
        <h2>{view?.title ?? "Chat"}</h2>
        <p className="faint">
          {view && `${view.agent} in ${view.workspace}`}
          {spent > 0 && ` · ${money(spent)}`}
        </p>
      </header>
      <ExampleBanner id={id} workspace={view?.workspace_id} transcript={transcript} />
      <div
        ref={end}
        className="transcript"
        role="log"
        aria-label="Transcript"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
        tabIndex={0}
        onScroll={(event) => {
          const box = event.currentTarget;
          following.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
        }}
      >
        {transcript.items.map((item) => (
          <Entry key={item.key} item={item} conversation={id} />
        ))}
        {letters
          .filter((l) => !transcript.items.some((i) => i.kind === "said" && i.clientId === l.id))
          .map((letter) => (
            <article key={letter.id} className="said pending" aria-label="Not sent yet">
              <p className="by">{letter.refused ? "Not taken" : "Sending…"}</p>
              <p className="verbatim">{letter.text}</p>
              {letter.refused && (
                <p role="alert">
                  {letter.refused}{" "}
                  <button
                    type="button"
                    className="quiet"
                    onClick={() => setDraft(desk.takeBack(letter.id))}
                  >
                    Take it back
                  </button>
                </p>
              )}
            </article>
          ))}
        {letters.some((letter) => letter.code === "model-key-missing") && <ModelKey />}
      </div>
      <p className="doing" role="status">
        {state}
        {transcript.run?.state === "waiting" && transcript.run.detail && (
          <span className="faint"> {transcript.run.detail}</span>
        )}
      </p>
      {trouble && (
        <p role="alert" className="trouble">
          {trouble}
        </p>
      )}
      <Composer
        busy={busy}
        stopping={transcript.stopping}
        draft={draft}
        hint={
          link === "live"
            ? "Enter sends, Shift+Enter begins a line, Esc stops"
            : "Not connected: what you send goes out when the service is back"
        }
        send={(text) => {
          following.current = true;
          setDraft("");
          void attempt(desk.say(id, text));
        }}
        stop={stop}
      />
    </main>
  );
}
