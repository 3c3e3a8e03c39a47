/** The last hour: requests, errors, latency, cost and queue. */
import {
  amount,
  dollars,
  dollarsPerMinute,
  type Operations,
  rate,
  seconds,
} from "../operations.ts";
import { Chart } from "./Chart.tsx";

export function Charts({ numbers }: { numbers: Operations }) {
  const { history, step_seconds: step } = numbers;
  const at = history.map((point) => point.at);
  return (
    <div className="charts">
      <Chart
        title="Requests a second"
        at={at}
        step={step}
        say={rate}
        series={[{ name: "requests", values: history.map((p) => p.requests_per_second) }]}
      />
      <Chart
        title="Errors a second"
        at={at}
        step={step}
        say={rate}
        series={[
          { name: "failed (5xx)", values: history.map((p) => p.errors_per_second) },
          { name: "refused (4xx)", values: history.map((p) => p.refused_per_second) },
        ]}
      />
      <Chart
        title="Latency"
        at={at}
        step={step}
        say={seconds}
        series={[
          { name: "median", values: history.map((p) => p.p50_seconds) },
          { name: "95th percentile", values: history.map((p) => p.p95_seconds) },
        ]}
      />
      <Chart
        title="Cost a minute"
        at={at}
        step={step}
        say={dollars}
        series={[{ name: "dollars", values: dollarsPerMinute(history, step) }]}
      />
      <Chart
        title="Queue and runs"
        at={at}
        step={step}
        say={amount}
        series={[
          { name: "queued", values: history.map((p) => p.queued) },
          { name: "at work", values: history.map((p) => p.running) },
          { name: "waiting", values: history.map((p) => p.waiting) },
        ]}
      />
      <Chart
        title="Longest wait in the queue"
        at={at}
        step={step}
        say={seconds}
        series={[{ name: "wait", values: history.map((p) => p.queue_age_seconds) }]}
      />
    </div>
  );
}
