import { describe, expect, test } from "vitest";
import { unturned, visible } from "./visible.ts";

describe("visible", () => {
  test("what turns the order around is shown by its number", () => {
    expect(visible("rm \u202etxt.exe")).toBe("rm ⟨U+202E⟩txt.exe");
    expect(visible("a\u200bb\u2066c\u{e0041}")).toBe("a⟨U+200B⟩b⟨U+2066⟩c⟨U+E0041⟩");
  });

  test("controls are shown, lines and tabs stay", () => {
    expect(visible("a\u001b[31m\tb\nc\r")).toBe("a⟨U+001B⟩[31m\tb\nc⟨U+000D⟩");
  });

  test("other alphabets and emoji stay as they are", () => {
    for (const text of ["Grüße", "שלום", "日本語", "🙂"]) expect(visible(text)).toBe(text);
  });

  test("prose keeps the marks that its languages need", () => {
    expect(unturned("שלום\u200f! \u202eabc")).toBe("שלום\u200f! ⟨U+202E⟩abc");
  });
});
