/** A chart of lines over time, with its title, what it shows in words, and its values as a table. */
import { useId, useState } from "react";
import { lines, type Series, summary, top } from "../chart.ts";
import { clock } from "../words_for_people.ts";

const WIDTH = 600;
const HEIGHT = 150;
const LEFT = 52;
const BELOW = 20;
const ABOVE = 8;

export function Chart({
  title,
  at,
  step,
  series,
  say,
}: {
  title: string;
  /** When the values were taken, the oldest first. */
  at: string[];
  /** Seconds between two of them; a longer time is a gap. */
  step: number;
  series: Series[];
  say: (value: number) => string;
}) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const highest = top(series);
  const times = at.map((each) => Date.parse(each));
  const right = (x: number) => LEFT + x * (WIDTH - LEFT - 4);
  const down = (y: number) => ABOVE + (1 - y) * (HEIGHT - ABOVE - BELOW);
  const words = summary(series, at, say);
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption>
        <h3 id={id}>{title}</h3>
        <ul className="legend" aria-hidden="true">
          {series.map((each, index) => (
            <li key={each.name} className={`line-${index}`}>
              {each.name}
            </li>
          ))}
        </ul>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${title}. ${words}`}>
        {[0, 0.5, 1].map((y) => (
          <g key={y}>
            <line className="grid" x1={LEFT} x2={WIDTH} y1={down(y)} y2={down(y)} />
            <text x={LEFT - 6} y={down(y) + 4} textAnchor="end">
              {say(y * highest)}
            </text>
          </g>
        ))}
        {at.length > 0 && (
          <g>
            <text x={LEFT} y={HEIGHT - 4}>
              {clock(at[0] ?? "")}
            </text>
            <text x={WIDTH - 4} y={HEIGHT - 4} textAnchor="end">
              {clock(at[at.length - 1] ?? "")}
            </text>
          </g>
        )}
        {series.map((each, index) =>
          lines(times, each.values, highest, step * 1000).map((line) => (
            <polyline
              key={`${each.name} ${line[0]?.x}`}
              className={`line-${index}`}
              points={line
                .map(({ x, y }) => `${right(x).toFixed(1)},${down(y).toFixed(1)}`)
                .join(" ")}
            />
          )),
        )}
      </svg>
      <p className="faint">{words}</p>
      {at.length > 0 && (
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>As a table</summary>
          {open && <Values title={title} at={at} series={series} say={say} />}
        </details>
      )}
    </figure>
  );
}

/** The values, the newest first. */
function Values({
  title,
  at,
  series,
  say,
}: {
  title: string;
  at: string[];
  series: Series[];
  say: (value: number) => string;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
    <section className="scroll" tabIndex={0} aria-label={`${title}, values`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {series.map((each) => (
              <th key={each.name} scope="col">
                {each.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {at
            .map((time, index) => (
              <tr key={time}>
                <th scope="row">{new Date(time).toLocaleTimeString()}</th>
                {series.map((each) => {
                  const value = each.values[index] ?? null;
                  return <td key={each.name}>{value === null ? "–" : say(value)}</td>;
                })}
              </tr>
            ))
            .reverse()}
        </tbody>
      </table>
    </section>
  );
}
