/** Why something was refused; nothing while nothing was. */
export function Trouble({ words }: { words: string | null }) {
  if (!words) return null;
  return (
    <p role="alert" className="trouble">
      {words}
    </p>
  );
}
