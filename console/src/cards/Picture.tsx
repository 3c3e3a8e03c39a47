/** A picture that the agent was shown, fetched with the key when its card is open. */
import { useEffect, useState } from "react";
import { useDesk } from "../desk.ts";

interface Shown {
  conversation: string;
  sha256: string;
  name: string;
}

export function Picture({ conversation, sha256, name }: Shown) {
  const desk = useDesk();
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    let made: string | null = null;
    desk.rest.blob(conversation, sha256).then(
      (url) => {
        made = url;
        if (gone) URL.revokeObjectURL(url);
        else setAddress(url);
      },
      () => undefined,
    );
    return () => {
      gone = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, [desk, conversation, sha256]);
  return address ? (
    <img className="picture" src={address} alt={`What the agent saw of ${name}`} />
  ) : null;
}
