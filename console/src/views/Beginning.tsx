/** A new conversation: whom to ask, where, and the first words. */
import { useEffect, useState } from "react";
import { useAttempt } from "../attempt.ts";
import { useDesk, useSlice } from "../desk.ts";
import { visible } from "../visible.ts";
import { Composer, KEYS } from "./Composer.tsx";
import { ExampleOffer } from "./Example.tsx";
import { ModelKey } from "./ModelKey.tsx";
import { Trouble } from "./Trouble.tsx";

export function Beginning() {
  const desk = useDesk();
  const workspaces = useSlice((s) => s.workspaces);
  const agents = useSlice((s) => s.agents);
  const link = useSlice((s) => s.link);
  const ready = useSlice((s) => s.ready);
  const examples = useSlice((s) => s.example?.workspaces);
  const [workspace, setWorkspace] = useState("");
  const [agent, setAgent] = useState("");
  const [mode, setMode] = useState("");
  const { trouble, attempt } = useAttempt();
  const [draft, setDraft] = useState("");
  useEffect(() => {
    if (link === "live") void desk.readChoices();
  }, [desk, link]);
  const model = ready?.parts.find((part) => part.name === "model" && part.state !== "ok");
  const begin = async (text: string) => {
    setDraft("");
    const refused = await attempt(async () => {
      const id = await desk.begin({
        ...(workspace && { workspace }),
        ...(agent && { agent }),
        ...(mode && { permission_mode: mode }),
      });
      await desk.open(id);
      await desk.say(id, text);
    });
    if (refused !== null) setDraft(text);
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
                    {visible(w.name)}
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
          <label>
            Permission
            <select value={mode} onChange={(event) => setMode(event.target.value)}>
              <option value="">as the service has it</option>
              <option value="accept-edits">edits act, commands ask</option>
              <option value="ask">all that acts asks</option>
              <option value="plan">plans only</option>
            </select>
          </label>
        </div>
      </div>
      <Trouble words={trouble} />
      <Composer
        busy={false}
        stopping={false}
        draft={draft}
        hint={link === "live" ? KEYS : "Not connected"}
        send={(text) => void begin(text)}
        stop={() => undefined}
      />
    </main>
  );
}
