import { describe, expect, test } from "vitest";
import type { ModelKeyView } from "./protocol.ts";
import { lacks } from "./views/ModelKey.tsx";

const held = (more: Partial<ModelKeyView>): ModelKeyView => ({
  source: "none",
  stored_at: null,
  accepted: null,
  address: "https://api.example",
  ...more,
});

describe("the field for a key of the model", () => {
  test("is there while there is no key, or the one given before is refused", () => {
    expect(lacks(held({}))).toBe(true);
    expect(lacks(held({ source: "stored", accepted: false }))).toBe(true);
  });

  test("is not there where a key from it would change nothing", () => {
    expect(lacks(held({ source: "stored" }))).toBe(false);
    expect(lacks(held({ source: "stored", accepted: true }))).toBe(false);
    expect(lacks(held({ source: "environment", accepted: false }))).toBe(false);
  });
});
