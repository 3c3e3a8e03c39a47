/** Conversations and tasks, each with how it stands. */
import { useDesk, useSlice } from "../desk.ts";
import type { ConversationView } from "../protocol.ts";
import { LinkState } from "./LinkState.tsx";
import { ThemeSwitch } from "./ThemeSwitch.tsx";

export function Sidebar({ begin }: { begin: () => void }) {
  const desk = useDesk();
  const conversations = useSlice((s) => s.conversations);
  const current = useSlice((s) => s.current);
  const chats = conversations.filter((c) => c.task_id === null);
  const tasks = conversations.filter((c) => c.task_id !== null);
  const list = (of: ConversationView[]) =>
    of.map((c) => (
      <li key={c.id}>
        <button
          type="button"
          className="entry"
          aria-current={c.id === current ? "page" : undefined}
          onClick={() => void desk.open(c.id)}
        >
          <Dot conversation={c} />
          <span className="title">{c.title ?? "Untitled"}</span>
          <span className="faint">{c.workspace}</span>
        </button>
      </li>
    ));
  return (
    <nav className="sidebar" aria-label="Conversations">
      <header>
        <h1>Flynn</h1>
        <ThemeSwitch />
      </header>
      <button type="button" className="primary wide" onClick={begin}>
        New chat
      </button>
      {tasks.length > 0 && <h2 id="tasks">Tasks</h2>}
      <ul aria-labelledby="tasks">{list(tasks)}</ul>
      {chats.length > 0 && <h2 id="chats">Chats</h2>}
      <ul aria-labelledby="chats">{list(chats)}</ul>
      <LinkState />
    </nav>
  );
}

const STATES: Record<string, string> = {
  queued: "waits for a worker",
  running: "at work",
  waiting: "waits",
  completed: "done",
  failed: "failed",
  cancelled: "stopped",
};

function Dot({ conversation }: { conversation: ConversationView }) {
  const state = conversation.run?.state ?? "none";
  const words = STATES[state] ?? "empty";
  return (
    <span className={`dot ${state}`} title={words}>
      <span className="hidden">{words}: </span>
    </span>
  );
}
