/** What the keyboard does. */
export function Keys() {
  return (
    <details className="keys">
      <summary>Keyboard</summary>
      <dl>
        {KEYS.map(([keys, words]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

const KEYS: [string, string][] = [
  ["Enter", "sends; with Shift begins a line"],
  ["Esc", "stops the run"],
  ["Ctrl K", "begins a conversation"],
  ["Alt ↑ ↓", "goes to the conversation above or below"],
  ["J K", "within the transcript: next and previous card"],
];
