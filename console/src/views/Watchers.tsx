/** Who else looks at a conversation now. */
import { useSlice } from "../desk.ts";
import { visible } from "../visible.ts";

export function Watchers({ id }: { id: string }) {
  const present = useSlice((s) => s.present[id]);
  const me = useSlice((s) => s.principal);
  if (!present || present.count < 2) return null;
  const others = present.names.filter(
    (name, at) => name !== me || present.names.indexOf(name) !== at,
  );
  const unnamed = present.count - 1 - others.length;
  const named = others.map(visible).join(", ");
  const words = unnamed > 0 ? `${named ? `${named} and ` : ""}${unnamed} more` : named;
  return <span> · Also here: {words}</span>;
}
