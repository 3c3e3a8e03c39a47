/** Looks at something again and again while the page is seen, one look at a time, and at once when it is seen again. */

export class Watch {
  readonly #look: () => Promise<void>;
  readonly #every: number;
  #timer: number | null = null;
  #looking = false;
  #over = false;

  constructor(look: () => Promise<void>, every: number) {
    this.#look = look;
    this.#every = every;
    document.addEventListener("visibilitychange", this.#seen);
    void this.#now();
  }

  close(): void {
    this.#over = true;
    document.removeEventListener("visibilitychange", this.#seen);
    this.#wait(null);
  }

  readonly #seen = (): void => {
    if (document.hidden) this.#wait(null);
    else void this.#now();
  };

  async #now(): Promise<void> {
    if (this.#looking || this.#over || document.hidden) return;
    this.#looking = true;
    this.#wait(null);
    try {
      await this.#look();
    } finally {
      this.#looking = false;
      if (!this.#over && !document.hidden) this.#wait(this.#every);
    }
  }

  #wait(milliseconds: number | null): void {
    if (this.#timer !== null) window.clearTimeout(this.#timer);
    this.#timer =
      milliseconds === null ? null : window.setTimeout(() => void this.#now(), milliseconds);
  }
}
