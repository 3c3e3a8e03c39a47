/** The page: a gate for whoever has no key, else the sidebar and what is open. */
import { useCallback, useEffect, useState } from "react";
import { useStore } from "zustand";
import { DeskContext } from "./desk.ts";
import { takeKey } from "./key.ts";
import { standing } from "./standing.ts";
import { Desk } from "./store.ts";
import { Beginning } from "./views/Beginning.tsx";
import { Conversation } from "./views/Conversation.tsx";
import { KeyGate } from "./views/KeyGate.tsx";
import { Operations } from "./views/Operations.tsx";
import { Sidebar } from "./views/Sidebar.tsx";
import { visible } from "./visible.ts";

/** The address of the operations view. */
const OPERATIONS = "#/operations";

export function App() {
  const [desk, setDesk] = useState<Desk | null>(null);
  useEffect(() => {
    const key = takeKey();
    if (!key) return;
    const made = new Desk(key);
    setDesk(made);
    return () => made.close();
  }, []);
  if (desk === null) return <KeyGate problem={null} enter={(key) => setDesk(new Desk(key))} />;
  return <Entered desk={desk} enter={(key) => setDesk(new Desk(key))} />;
}

function Entered({ desk, enter }: { desk: Desk; enter: (key: string) => void }) {
  const link = useStore(desk.store, (s) => s.link);
  const problem = useStore(desk.store, (s) => s.problem);
  const current = useStore(desk.store, (s) => s.current);
  const begin = useCallback(() => {
    void desk.open(null).then(() => document.getElementById("words")?.focus());
  }, [desk]);
  const operations = useStore(desk.store, (s) => s.operations);
  useHashOf(desk, current, operations);
  useTitleOf(desk, current);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "k") {
        event.preventDefault();
        begin();
      }
      if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
        event.preventDefault();
        neighbour(event.key === "ArrowUp" ? -1 : 1)?.click();
      }
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [begin]);
  if (link === "refused") return <KeyGate problem={problem} enter={enter} />;
  return (
    <DeskContext value={desk}>
      <button
        type="button"
        className="skip"
        onClick={() => document.getElementById("words")?.focus()}
      >
        Skip to the message field
      </button>
      <div className="page">
        <Sidebar begin={begin} />
        <div className="main">
          {problem && (
            <p role="alert" className="banner">
              {visible(problem.detail ?? problem.title)}
              <button
                type="button"
                className="quiet"
                aria-label="Dismiss"
                onClick={() => desk.store.setState({ problem: null })}
              >
                ×
              </button>
            </p>
          )}
          {operations ? (
            <Operations />
          ) : current === null ? (
            <Beginning />
          ) : (
            <Conversation key={current} id={current} />
          )}
        </div>
      </div>
    </DeskContext>
  );
}

/** The conversation above (-1) or below (1) the open one in the list as it is shown. */
function neighbour(direction: -1 | 1): HTMLElement | undefined {
  const entries = [...document.querySelectorAll<HTMLElement>("#lists .entry")];
  const now = entries.findIndex((entry) => entry.getAttribute("aria-current") === "page");
  return entries[now < 0 ? 0 : now + direction];
}

/** The window's title says what is open and whether it works or asks, also from behind other windows. */
function useTitleOf(desk: Desk, current: string | null): void {
  const title = useStore(desk.store, (s) => {
    if (s.operations) return "Operations · Flynn";
    const view = s.conversations?.find((c) => c.id === current);
    if (!view) return "Flynn";
    const { look } = standing(view, s.transcripts[view.id]);
    const mark = look === "asks" ? "(?) " : look === "running" ? "● " : "";
    return `${mark}${visible(view.title ?? "New conversation")} · Flynn`;
  });
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** Keep the open conversation in the address, so that it survives a reload and can be linked to. */
function useHashOf(desk: Desk, current: string | null, operations: boolean): void {
  useEffect(() => {
    const follow = () => {
      if (window.location.hash === OPERATIONS) {
        desk.openOperations();
        return;
      }
      const id = window.location.hash.replace(/^#\/c\//, "");
      void desk.open(/^[0-9a-f-]{36}$/.test(id) ? id : null);
    };
    follow();
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, [desk]);
  useEffect(() => {
    // What the store has now, not what was drawn: the effect above may just have opened something.
    const now = desk.store.getState();
    if (now.current !== current || now.operations !== operations) return;
    const hash = operations ? OPERATIONS : current === null ? "" : `#/c/${current}`;
    if (window.location.hash !== hash)
      window.history.pushState(null, "", hash || window.location.pathname);
  }, [desk, current, operations]);
}
