/** Conversations and tasks, each with how it stands. On a narrow screen it opens over the conversation. */
import { useState } from "react";
import { useAttempt } from "../attempt.ts";
import { useDesk, useSlice } from "../desk.ts";
import type { ConversationView } from "../protocol.ts";
import { visible } from "../visible.ts";
import { Entry } from "./Entry.tsx";
import { Keys } from "./Keys.tsx";
import { LinkState } from "./LinkState.tsx";
import { ThemeSwitch } from "./ThemeSwitch.tsx";
import { Trouble } from "./Trouble.tsx";

/** Conversations from which on there is a field to find one in. */
const MANY = 8;

export function Sidebar({ begin }: { begin: () => void }) {
  const desk = useDesk();
  const conversations = useSlice((s) => s.conversations);
  const operator = useSlice((s) => s.operator);
  const operations = useSlice((s) => s.operations);
  const firing = useSlice((s) => s.alerts?.items.length ?? 0);
  const [open, setOpen] = useState(false);
  const [wanted, setWanted] = useState("");
  const found = (conversations ?? []).filter((c) => fits(c, wanted));
  const tasks = found.filter((c) => c.task_id !== null);
  const chats = found.filter((c) => c.task_id === null);
  return (
    <nav className={open ? "sidebar open" : "sidebar"} aria-label="Conversations">
      <header>
        <h1>Flynn</h1>
        <ThemeSwitch />
        <button
          type="button"
          className="quiet narrow"
          aria-expanded={open}
          aria-controls="lists"
          onClick={() => setOpen(!open)}
        >
          Conversations
        </button>
      </header>
      <div className="lists" id="lists">
        <button
          type="button"
          className="primary wide"
          aria-keyshortcuts="Control+K"
          onClick={() => {
            setOpen(false);
            begin();
          }}
        >
          New chat
        </button>
        {(conversations?.length ?? 0) >= MANY && (
          <input
            type="search"
            className="wide"
            placeholder="Find a conversation"
            aria-label="Find a conversation"
            value={wanted}
            onChange={(event) => setWanted(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Escape") return;
              // Esc means the field here, not the run.
              event.preventDefault();
              setWanted("");
            }}
          />
        )}
        {conversations === null && <p className="faint">Loading…</p>}
        {conversations?.length === 0 && <p className="faint">No conversations yet.</p>}
        {wanted && found.length === 0 && <p className="faint">None of these has such words.</p>}
        <List name="Chats" of={chats} chosen={() => setOpen(false)} />
        <List name="Tasks" of={tasks} chosen={() => setOpen(false)} />
        <Older desk={desk} />
      </div>
      {operator && (
        <button
          type="button"
          className="operations-link"
          aria-current={operations ? "page" : undefined}
          onClick={() => {
            setOpen(false);
            desk.openOperations();
          }}
        >
          Operations
          {firing > 0 && (
            <span className="chip bad">
              {firing} {firing === 1 ? "alert" : "alerts"}
            </span>
          )}
        </button>
      )}
      <Keys />
      <LinkState />
    </nav>
  );
}

/** One kind of conversations, latest first. It can be folded, so that many of one kind hide no other. */
function List({ name, of, chosen }: { name: string; of: ConversationView[]; chosen: () => void }) {
  if (of.length === 0) return null;
  return (
    <details open>
      <summary>
        <h2 id={`list-${name}`}>{name}</h2> <span className="faint">{of.length}</span>
      </summary>
      <ul aria-labelledby={`list-${name}`}>
        {of.map((c) => (
          <Entry key={c.id} view={c} chosen={chosen} />
        ))}
      </ul>
    </details>
  );
}

function Older({ desk }: { desk: ReturnType<typeof useDesk> }) {
  const older = useSlice((s) => s.older);
  const { trouble, attempt } = useAttempt();
  if (older === null) return null;
  return (
    <>
      <button type="button" className="quiet" onClick={() => void attempt(() => desk.readOlder())}>
        Show older ones
      </button>
      <Trouble words={trouble} />
    </>
  );
}

/** Whether a conversation has all the wanted words in its title, workspace or agent. */
function fits(view: ConversationView, wanted: string): boolean {
  const text = `${visible(view.title ?? "")} ${view.workspace} ${view.agent}`.toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
