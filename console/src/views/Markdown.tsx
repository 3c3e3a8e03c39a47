/**
 * Markdown as elements of the page. HTML in it is shown as text, addresses other than http, https and mailto
 * lose their target, and pictures become links: nothing is fetched because a model wrote it.
 */
import { memo, useRef } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { unturned } from "../visible.ts";
import { CopyButton } from "./CopyButton.tsx";
import { halfway } from "./halfway.ts";

const COMPONENTS: Components = {
  a: ({ href, children }) =>
    href ? (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    ) : (
      <span>{children}</span>
    ),
  img: ({ src, alt }) =>
    typeof src === "string" && src ? (
      <a href={src} target="_blank" rel="noopener noreferrer nofollow">
        {alt || src}
      </a>
    ) : (
      <span>{alt}</span>
    ),
  input: ({ checked }) => (
    <span role="img" aria-label={checked ? "done" : "to do"}>
      {checked ? "☑" : "☐"}
    </span>
  ),
  pre: ({ children }) => <CodeBlock>{children}</CodeBlock>,
  table: ({ children }) => (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section className="scroll" aria-label="Table" tabIndex={0}>
      <table>{children}</table>
    </section>
  ),
};

const SAFE = /^(https?:|mailto:|#|\/(?!\/))/i;

function target(url: string): string {
  return SAFE.test(url) ? url : "";
}

/** `streaming`: more of it is being written. */
export const Markdown = memo(function Markdown({
  text,
  streaming = false,
}: {
  text: string;
  streaming?: boolean;
}) {
  return (
    <div className="markdown" dir="auto">
      <ReactMarkdown remarkPlugins={PLUGINS} components={COMPONENTS} urlTransform={target}>
        {unturned(streaming ? halfway(text) : text)}
      </ReactMarkdown>
    </div>
  );
});

const PLUGINS = [remarkGfm];

function CodeBlock({ children }: { children: React.ReactNode }) {
  const block = useRef<HTMLPreElement>(null);
  return (
    <div className="code">
      <CopyButton what="the code" text={() => block.current?.textContent ?? ""} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard */}
      <pre ref={block} tabIndex={0}>
        {children}
      </pre>
    </div>
  );
}
