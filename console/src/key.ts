/** Where the key lives: in this tab's and this browser's storage, never in an address for long. */

const NAME = "flynn.key";

/** The key of `?key=` (taken out of the address at once), else the one that was kept. */
export function takeKey(): string | null {
  const url = new URL(window.location.href);
  const given = url.searchParams.get("key");
  if (given) {
    url.searchParams.delete("key");
    window.history.replaceState(null, "", url);
    keepKey(given);
    return given;
  }
  return read(window.localStorage, NAME);
}

export function keepKey(key: string): void {
  write(window.localStorage, NAME, key);
}

export function forgetKey(): void {
  write(window.localStorage, NAME, null);
}

/** Storage may be switched off; the page works without it. */
export function read(storage: Storage, name: string): string | null {
  try {
    return storage.getItem(name);
  } catch {
    return null;
  }
}

export function write(storage: Storage, name: string, value: string | null): void {
  try {
    if (value === null) storage.removeItem(name);
    else storage.setItem(name, value);
  } catch {
    // The page goes on without.
  }
}
