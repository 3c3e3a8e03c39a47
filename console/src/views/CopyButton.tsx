/** A button that copies a text and says whether that worked. */
import { useState } from "react";
import { copy } from "../copy.ts";

interface Copied {
  /** What is copied, in words, for whoever does not see where the button stands. */
  what: string;
  text: () => string;
  className?: string;
}

export function CopyButton({ what, text, className = "" }: Copied) {
  const [said, setSaid] = useState<string | null>(null);
  return (
    <button
      type="button"
      className={`quiet copy ${className}`}
      onClick={async () => setSaid((await copy(text())) ? "Copied" : "Not copied")}
      onBlur={() => setSaid(null)}
    >
      {said ?? "Copy"}
      <span className="hidden"> {what}</span>
    </button>
  );
}
