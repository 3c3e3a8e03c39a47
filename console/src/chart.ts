/** What a chart of times and values is made of, without drawing it: scale, lines with gaps, words. */
import { clock } from "./words_for_people.ts";

export interface Series {
  name: string;
  values: (number | null)[];
}

/** A place on the chart, from 0 to 1: to the right and upwards. */
export interface Place {
  x: number;
  y: number;
}

/** The round number above all values that the axis ends with; 1 without any. */
export function top(series: Series[]): number {
  const most = Math.max(0, ...series.flatMap((each) => each.values.map((value) => value ?? 0)));
  if (most === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  const factor = [1, 2, 2.5, 5, 10].find((each) => each * power >= most * 0.999_999) ?? 10;
  return factor * power;
}

/** Lines without a break: a value that is not known, or a time without a sample, ends one. */
export function lines(
  at: number[],
  values: (number | null)[],
  highest: number,
  step: number,
): Place[][] {
  const first = at[0] ?? 0;
  const span = (at[at.length - 1] ?? 0) - first || 1;
  const found: Place[][] = [];
  let before: number | null = null;
  for (const [index, time] of at.entries()) {
    const value = values[index] ?? null;
    if (value === null) {
      before = null;
      continue;
    }
    if (before === null || time - before > 1.5 * step) found.push([]);
    found[found.length - 1]?.push({ x: (time - first) / span, y: Math.min(value / highest, 1) });
    before = time;
  }
  return found;
}

/** What the chart shows, in a sentence for whoever does not see it. */
export function summary(series: Series[], at: string[], say: (value: number) => string): string {
  if (at.length === 0) return "There is nothing to show yet.";
  return series
    .map(({ name, values }) => {
      const known = values.flatMap((value, index) => (value === null ? [] : [{ value, index }]));
      const last = known[known.length - 1];
      if (last === undefined) return `${name}: not known.`;
      const most = known.reduce((a, b) => (b.value > a.value ? b : a));
      if (most.value === 0) return `${name}: ${say(0)} all the time.`;
      return `${name}: ${say(last.value)} last, at most ${say(most.value)} at ${clock(at[most.index] ?? "")}.`;
    })
    .join(" ");
}
