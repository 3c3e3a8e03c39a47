/** The figures that matter most, each with its name and a word on what it counts. */
import {
  age,
  dollars,
  NONE,
  type Operations,
  rate,
  ratio,
  seconds,
  troubledModels,
} from "../operations.ts";

export function Figures({ numbers }: { numbers: Operations }) {
  const { requests, runs, model, clients } = numbers;
  return (
    <dl className="figures" aria-label="Figures now">
      <Figure name="Requests" value={`${rate(requests.per_second)}/s`}>
        {requests.requests} in all
      </Figure>
      <Figure name="Errors" value={ratio(requests.error_ratio)} bad={requests.errors > 0}>
        {requests.errors} failed, {requests.refused} refused
      </Figure>
      <Figure name="Latency" value={seconds(requests.p50_seconds)}>
        median; 95 % within {seconds(requests.p95_seconds)}
      </Figure>
      <Figure name="Queue" value={runs === null ? NONE : `${runs.queued}`}>
        {runs === null
          ? "the database does not say"
          : runs.queued > 0
            ? `the first waits ${age(runs.queue_age_seconds)}`
            : "nothing waits"}
      </Figure>
      <Figure
        name="Runs"
        value={runs === null ? NONE : `${runs.running}`}
        bad={(runs?.stuck ?? 0) > 0}
      >
        {runs === null
          ? "the database does not say"
          : `at work, ${runs.waiting} waiting, ${runs.stuck ?? NONE} stuck`}
      </Figure>
      <Figure name="Cost" value={dollars(model.dollars)}>
        {numbers.work.steps} steps, {ratio(model.cache_ratio)} of prompts cached
      </Figure>
      <Figure
        name="Model"
        value={troubledModels(model.breakers) === null ? "answers" : "away"}
        bad={troubledModels(model.breakers) !== null}
      >
        {troubledModels(model.breakers) ?? `${model.retries} retries`}
      </Figure>
      <Figure name="Clients" value={`${clients.sockets}`} bad={clients.slow_disconnects > 0}>
        sockets, {clients.slow_disconnects} too slow
      </Figure>
    </dl>
  );
}

function Figure({
  name,
  value,
  bad = false,
  children,
}: {
  name: string;
  value: string;
  bad?: boolean;
  children: React.ReactNode;
}) {
  return (
    <div className={bad ? "figure bad" : "figure"}>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong>
        <span className="faint">{children}</span>
      </dd>
    </div>
  );
}
