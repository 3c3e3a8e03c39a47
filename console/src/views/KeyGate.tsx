/** What somebody without a key sees. */
import { useState } from "react";
import type { Problem } from "../protocol.ts";

export function KeyGate({
  problem,
  enter,
}: {
  problem: Problem | null;
  enter: (key: string) => void;
}) {
  const [key, setKey] = useState("");
  return (
    <main className="gate">
      <h1>Flynn</h1>
      <p>
        This page needs a key. The line that the service prints when it starts has an address with
        one; <code>flynn keys create NAME</code> makes more.
      </p>
      {problem && (
        <p role="alert" className="trouble">
          {problem.detail ?? problem.title}
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim()) enter(key.trim());
        }}
      >
        <label htmlFor="key">Key</label>
        <input
          id="key"
          type="password"
          autoComplete="off"
          placeholder="fly_…"
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        <button type="submit" className="primary">
          Enter
        </button>
      </form>
    </main>
  );
}
