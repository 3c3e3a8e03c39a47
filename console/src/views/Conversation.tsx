/** One conversation: its transcript, what the run is doing, and where words are written. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { useAttempt } from "../attempt.ts";
import { useDesk, useSlice } from "../desk.ts";
import { EMPTY } from "../items.ts";
import { isOpen, type Run } from "../run.ts";
import { unturned, visible } from "../visible.ts";
import { money } from "../words_for_people.ts";
import { Composer, KEYS } from "./Composer.tsx";
import { walkCards } from "./cardwalk.ts";
import { Entry } from "./Entries.tsx";
import { ExampleBanner } from "./Example.tsx";
import { ExportButton } from "./ExportButton.tsx";
import { ModelKey } from "./ModelKey.tsx";
import { RunState, waitsForModel } from "./RunState.tsx";
import { Spending } from "./Spending.tsx";
import { Trouble } from "./Trouble.tsx";
import { Watchers } from "./Watchers.tsx";

/** Pixels from the end within which the transcript follows what is new. */
const NEAR = 80;

export function Conversation({ id }: { id: string }) {
  const desk = useDesk();
  const known = useSlice((s) => s.transcripts[id]);
  const barred = useSlice((s) => s.barred[id]);
  const transcript = known ?? EMPTY;
  const outbox = useSlice((s) => s.outbox);
  const link = useSlice((s) => s.link);
  const view = useSlice((s) => s.conversations?.find((c) => c.id === id));
  const letters = outbox.filter((letter) => letter.conversation === id);
  const { trouble, attempt } = useAttempt();
  const [draft, setDraft] = useState("");
  const listed = useSlice((s) => s.conversations !== null);
  useEffect(() => {
    if (listed && !view) void desk.look(id);
  }, [desk, id, listed, view]);
  const loading = known === undefined || (known.lastSeq === 0 && (view?.last_seq ?? 0) > 0);
  const busy = isOpen(transcript.run);
  // Where nothing was said yet too: the words that were refused may have been taken back.
  const asksForKey =
    letters.some((letter) => letter.code === "model-key-missing") ||
    (!loading && letters.length === 0 && transcript.items.length === 0);
  const stop = useCallback(() => void attempt(() => desk.interrupt(id)), [attempt, desk, id]);

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key === "Escape" && busy && !event.defaultPrevented) stop();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [busy, stop]);

  // What had the focus may be gone with the state that it belonged to, such as the button that stops.
  // biome-ignore lint/correctness/useExhaustiveDependencies: looked at whenever the state changes
  useEffect(() => {
    const lost = document.activeElement === document.body;
    if (lost && window.matchMedia("(hover: hover)").matches)
      document.getElementById("words")?.focus();
  }, [transcript.run?.state]);

  const end = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const size = useRef("");
  const [behind, setBehind] = useState(false);
  useEffect(() => {
    const box = end.current;
    if (!box) return;
    // The field below grows, a screen is turned: the end stays where it was seen.
    const watcher = new ResizeObserver(() => {
      size.current = sizeOf(box);
      if (following.current) box.scrollTop = box.scrollHeight;
    });
    watcher.observe(box);
    return () => watcher.disconnect();
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is new is followed, whatever it is
  useLayoutEffect(() => {
    const box = end.current;
    if (box && following.current) box.scrollTop = box.scrollHeight;
  }, [transcript, letters.length]);

  const title = visible(view?.title ?? "New conversation");
  const spent = transcript.nanodollars;
  if (barred) {
    return (
      <main className="conversation">
        <p role="alert" className="note bad">
          {visible(barred.detail ?? barred.title)} Or this key may not see it.
        </p>
      </main>
    );
  }
  return (
    <main className="conversation">
      <header>
        <h2>{title}</h2>
        <p className="faint">
          {view && `${visible(view.agent)} in ${visible(view.workspace)}`}
          {view?.permission_mode && ` · mode ${view.permission_mode}`}
          {spent > 0 && ` · ${money(spent)}`}
          <Watchers id={id} />
        </p>
        <ExportButton title={title} transcript={transcript} />
      </header>
      {view?.task_id && <Spending key={id} task={view.task_id} transcript={transcript} />}
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
          // Not the person but a new size moved it; the observer sees to that.
          if (sizeOf(box) !== size.current) return;
          following.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
          setBehind(!following.current);
        }}
        onKeyDown={walkCards}
      >
        {loading && <p className="faint">Loading…</p>}
        {transcript.items.map((item) => (
          <Entry key={item.key} item={item} conversation={id} />
        ))}
        {letters
          .filter((l) => !transcript.items.some((i) => i.kind === "said" && i.clientId === l.id))
          .map((letter) => (
            <article key={letter.id} className="said pending" aria-label="Not sent yet">
              <p className="by">{letter.refused ? "Not taken" : "Sending…"}</p>
              <p className="verbatim">{unturned(letter.text)}</p>
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
        {!waitsForModel(transcript.run) && asksForKey && <ModelKey />}
      </div>
      {behind && (
        <button
          type="button"
          className="to-end"
          onClick={() => {
            following.current = true;
            end.current?.scrollTo({ top: end.current.scrollHeight });
          }}
        >
          To the end ↓
        </button>
      )}
      <RunState id={id} transcript={transcript} />
      <Trouble words={trouble} />
      <Composer
        busy={busy}
        stopping={transcript.stopping}
        draft={draft}
        placeholder={busy ? "Say more" : "What is to be done?"}
        hint={
          link === "live"
            ? joining(transcript.run)
            : "Not connected: what you send goes out when the service is back"
        }
        send={(text) => {
          following.current = true;
          setDraft("");
          void attempt(() => desk.say(id, text));
        }}
        stop={stop}
      />
    </main>
  );
}

function sizeOf(box: HTMLElement): string {
  return `${box.clientWidth} ${box.clientHeight}`;
}

/** What becomes of words that are sent now. */
function joining(run: Run | null): string {
  switch (run?.state) {
    case "queued":
      return "What you send is read when the run begins. Esc stops the run";
    case "running":
      return "What you send joins at the next step. Esc stops the run";
    case "waiting":
      return run.reason === "approval"
        ? "What you send is a no that carries your words. Esc stops the run"
        : "What you send joins when the run goes on. Esc stops the run";
    default:
      return KEYS;
  }
}
