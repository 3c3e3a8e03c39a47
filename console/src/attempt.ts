/** An attempt at what the service may refuse: whether it is under way, and why it was refused. */
import { useCallback, useState } from "react";
import { Refused } from "./rest.ts";

export interface Attempt {
  busy: boolean;
  /** Why the last attempt was refused, in words; null while none was. */
  trouble: string | null;
  /** Do the work. A refusal becomes `trouble`, and is given back; anything else is thrown. */
  attempt: (work: () => Promise<unknown>) => Promise<Refused | null>;
}

export function useAttempt(): Attempt {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);
  const attempt = useCallback(async (work: () => Promise<unknown>) => {
    setBusy(true);
    setTrouble(null);
    try {
      await work();
      return null;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setTrouble(error.message);
      return error;
    } finally {
      setBusy(false);
    }
  }, []);
  return { busy, trouble, attempt };
}
