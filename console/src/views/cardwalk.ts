/** J and K go from card to card while the transcript, or something in it, has the focus (WCAG 2.1.4). */
import type { KeyboardEvent } from "react";

export function walkCards(event: KeyboardEvent<HTMLElement>): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  const target = event.target as HTMLElement;
  if ((key !== "j" && key !== "k") || target.closest("input, textarea, select")) return;
  const heads = [...event.currentTarget.querySelectorAll<HTMLElement>(".card > .head")];
  const here = target.closest(".card")?.querySelector<HTMLElement>(":scope > .head");
  const now = here ? heads.indexOf(here) : -1;
  // From nowhere, K begins at the newest.
  const next = key === "j" ? heads[now + 1] : now < 0 ? heads.at(-1) : heads[now - 1];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}
