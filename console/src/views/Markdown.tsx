/**
 * Markdown as elements of the page. HTML in it is shown as text, addresses other than http, https and mailto
 * lose their target, and so do those of this very service, since one with `?key=` would put another key in the
 * place of the visitor's. Pictures become links: nothing is fetched because a model wrote it.
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

/** With its slashes: without them, an address of the page's own scheme is one within this service. */
const SAFE = /^(https?:\/\/|mailto:)/i;

/** The address as a link may have it; "" where it may not. */
export function target(url: string): string {
  if (!SAFE.test(url) || !URL.canParse(url)) return "";
  return new URL(url).origin === window.location.origin ? "" : url;
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
