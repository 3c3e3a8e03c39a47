// @vitest-environment happy-dom
import { renderToStaticMarkup } from "react-dom/server";
import { beforeEach, describe, expect, test } from "vitest";
import { Markdown, target } from "./Markdown.tsx";

beforeEach(() => {
  window.location.href = "http://127.0.0.1:8000/#/c/1";
});

describe("the target of a link that a model wrote", () => {
  test.each(["https://example.com/a?b=c#d", "HTTP://example.com", "mailto:ada@example.com"])(
    "%j is kept",
    (url) => {
      expect(target(url)).toBe(url);
    },
  );

  test.each([
    "/?key=fly_another",
    "?key=fly_another",
    "#/c/2",
    "//example.com",
    "http:/?key=fly_another",
    "http:?key=fly_another",
    "http://127.0.0.1:8000/?key=fly_another",
    "HTTP://127.0.0.1:8000?key=fly_another",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://",
  ])("%j is none", (url) => {
    expect(target(url)).toBe("");
  });

  test("what has none stands there as words", () => {
    const text = "[in](/?key=fly_another) ![picture](/blob) [out](https://example.com)";
    const shown = renderToStaticMarkup(<Markdown text={text} />);
    expect(shown).toContain("<span>in</span> <span>picture</span>");
    expect(shown.match(/href="[^"]*"/g)).toEqual(['href="https://example.com"']);
  });
});
