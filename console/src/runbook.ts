/** The runbook of the documentation, built into the page, so that it can be read when all else is away. */

const FILES: Record<string, string> = import.meta.glob("../../docs/runbook.md", {
  query: "?raw",
  import: "default",
  eager: true,
});

/** The chapter that `docs/runbook.md#name` means, without its heading; null where there is none. */
export function chapter(address: string, runbook = Object.values(FILES)[0] ?? ""): string | null {
  const wanted = address.split("#")[1];
  for (const part of runbook.split(/^## /m).slice(1)) {
    const end = part.indexOf("\n");
    if (slug(part.slice(0, end)) === wanted) return part.slice(end).trim();
  }
  return null;
}

/** A heading as addresses have it. */
function slug(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number} _-]/gu, "")
    .replaceAll(" ", "-");
}
