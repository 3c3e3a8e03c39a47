/** Dark, light, or as the system has it. */
import { useState } from "react";
import { read, write } from "../key.ts";

const NAME = "flynn.theme";
const NEXT = { system: "dark", dark: "light", light: "system" } as const;
type Theme = keyof typeof NEXT;

/** Put on what was chosen before; called once, before anything is drawn. */
export function wearTheme(): void {
  wear(chosen());
}

function chosen(): Theme {
  const kept = read(window.localStorage, NAME);
  return kept === "dark" || kept === "light" ? kept : "system";
}

function wear(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function ThemeSwitch() {
  const [theme, setTheme] = useState(chosen);
  const next = NEXT[theme];
  return (
    <button
      type="button"
      className="quiet"
      aria-label={`Theme: ${theme}. Switch to ${next}.`}
      onClick={() => {
        write(window.localStorage, NAME, next === "system" ? null : next);
        wear(next);
        setTheme(next);
      }}
    >
      {{ system: "◐", dark: "●", light: "○" }[theme]}
    </button>
  );
}
