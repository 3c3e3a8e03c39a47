/** A new conversation: whom to ask, where, and the first words. */
import { useState } from "react";
import { useDesk, useSlice } from "../desk.ts";
import { Refused } from "../rest.ts";
import { Composer } from "./Composer.tsx";
import { ModelKey } from "./ModelKey.tsx";
import { ExampleOffer } from "./Example.tsx";

export function Beginning() {
  const desk = useDesk();
  const workspaces = useSlice((s) => s.workspaces);
  const agents = useSlice((s) => s.agents);
  const link = useSlice((s) => s.link);
  const ready = useSlice((s) => s.ready);
  const examples = useSlice((s) => s.example?.workspaces);
  const [workspace, setWorkspace] = useState("");
  const [agent, setAgent] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  const [draft, setDraft] = useState("");
  const model = ready?.parts.find((part) => part.name === "model" && part.state !== "ok");
  const begin = async (text: string) => {
    setTrouble(null);
    setDraft("");
    try {
      const title = titled(text);
      const id = await desk.begin({
        title,
        ...(workspace && { workspace }),
        ...(agent && { agent }),
      });
      await desk.open(id);
      await desk.say(id, text);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setDraft(text);
      setTrouble(error.message);
    }
  };
  return (
    <main className="conversation beginning">
      <div className="transcript">
        <h2>What is to be done?</h2>
        <p className="faint">
          Flynn reads, edits and runs commands in the workspace that you choose, in a sandbox, and
          writes down what it did.
        </p>
        {model && (
          <p role="alert" className="note waiting">
            {model.detail}
          </p>
        )}
        <ModelKey />
        <ExampleOffer prominent={model !== undefined} />
        <div className="row">
          <label>
            Workspace
            <select value={workspace} onChange={(event) => setWorkspace(event.target.value)}>
              <option value="">default</option>
              {workspaces
                .filter((w) => w.name !== "default" && !examples?.includes(w.id))
                .map((w) => (
                  <option key={w.id} value={w.name}>
                    {w.name}
                  </option>
                ))}
            </select>
          </label>
          <label>
            Agent
            <select value={agent} onChange={(event) => setAgent(event.target.value)}>
              <option value="">flynn-dev</option>
              {agents
                .filter((a) => a.name !== "flynn-dev")
                .map((a) => (
                  <option key={a.name} value={a.name}>
                    {a.name}
                  </option>
                ))}
            </select>
          </label>
        </div>
      </div>
      {trouble && (
        <p role="alert" className="trouble">
          {trouble}
        </p>
      )}
      <Composer
        busy={false}
        stopping={false}
        draft={draft}
        hint={link === "live" ? "Enter sends, Shift+Enter begins a line" : "Not connected"}
        send={(text) => void begin(text)}
        stop={() => undefined}
      />
    </main>
  );
}

/** A title from the first words, short enough for a list. */
function titled(text: string): string {
  const line = text.trim().split("\n")[0] ?? "";
  const letters = Array.from(line);
  return letters.length > 80 ? `${letters.slice(0, 79).join("")}…` : line;
}
