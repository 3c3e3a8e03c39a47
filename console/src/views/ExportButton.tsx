/** A transcript as a file, to be kept or sent. */
import { download } from "../copy.ts";
import { exported } from "../exported.ts";
import type { Transcript } from "../items.ts";

export function ExportButton({ title, transcript }: { title: string; transcript: Transcript }) {
  if (transcript.items.length === 0) return null;
  return (
    <button
      type="button"
      className="quiet"
      onClick={() => download(`${named(title)}.md`, exported(title, transcript))}
    >
      Download
      <span className="hidden"> the transcript as Markdown</span>
    </button>
  );
}

/** A file's name from a title. */
function named(title: string): string {
  return title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "transcript";
}
