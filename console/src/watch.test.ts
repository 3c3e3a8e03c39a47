// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Watch } from "./watch.ts";

function show(seen: boolean): void {
  Object.defineProperty(document, "hidden", { configurable: true, value: !seen });
  document.dispatchEvent(new Event("visibilitychange"));
}

describe("a watch", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    show(true);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("looks at once and then every so often, until it is closed", async () => {
    const look = vi.fn(async () => {});
    const watch = new Watch(look, 1000);
    expect(look).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(2500);
    expect(look).toHaveBeenCalledTimes(3);
    watch.close();
    await vi.advanceTimersByTimeAsync(5000);
    expect(look).toHaveBeenCalledTimes(3);
  });

  test("does not look while nobody sees the page, and at once when somebody does", async () => {
    const look = vi.fn(async () => {});
    const watch = new Watch(look, 1000);
    await vi.advanceTimersByTimeAsync(0);
    show(false);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(look).toHaveBeenCalledTimes(1);
    show(true);
    expect(look).toHaveBeenCalledTimes(2);
    watch.close();
  });

  test("looks once at a time, however long it takes, and goes on after what went wrong", async () => {
    let answer = () => {};
    const look = vi.fn(() => new Promise<void>((resolve) => (answer = resolve)));
    const watch = new Watch(look, 1000);
    await vi.advanceTimersByTimeAsync(5000);
    show(true);
    expect(look).toHaveBeenCalledTimes(1);
    answer();
    await vi.advanceTimersByTimeAsync(1000);
    expect(look).toHaveBeenCalledTimes(2);
    watch.close();
  });
});
