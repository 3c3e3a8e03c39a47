/** How long something has been going on, counted each second. */
import { useEffect, useState } from "react";
import { duration } from "../words_for_people.ts";

export function Elapsed({ since }: { since: string }) {
  const begun = Date.parse(since);
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 1_000);
    return () => window.clearInterval(timer);
  }, []);
  const whole = Math.floor((now - begun) / 1_000) * 1_000;
  return whole >= 1_000 ? <> {duration(whole)}</> : null;
}
