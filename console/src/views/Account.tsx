/** What the agent says of its task: a quotation, which proves nothing. */
import type { Report } from "../protocol.ts";
import { visible } from "../visible.ts";

export function Account({
  account,
  unmentioned,
}: {
  account: NonNullable<Report["account"]>;
  unmentioned: string[];
}) {
  const steps = account.next_steps.map((step) => `${step.who}: ${step.what}`);
  return (
    <blockquote className="account" aria-label="The agent's account, which proves nothing">
      <p className="faint">The agent's account (it proves nothing)</p>
      {account.summary && <p>{visible(account.summary)}</p>}
      <Points title="Next steps" items={steps} />
      <Points title="Left undone" items={account.left_undone} />
      <Points title="Risks" items={account.risks} />
      <Points title="Changed, and not named by it" items={unmentioned} />
    </blockquote>
  );
}

function Points({ title, items }: { title: string; items: string[] }) {
  if (items.length === 0) return null;
  return (
    <>
      <p className="faint">{title}</p>
      <ul>
        {items.map((item) => (
          <li key={item}>{visible(item)}</li>
        ))}
      </ul>
    </>
  );
}
