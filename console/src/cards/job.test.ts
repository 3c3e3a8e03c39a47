import { expect, test } from "vitest";
import { jobIn } from "./job.ts";

test("a job's state, its output and its end", () => {
  const said =
    "<retrieval_status>success</retrieval_status>\n<task_id>b1</task_id>\n<status>completed</status>\n" +
    "<exit_code>0</exit_code>\n<output>\none\ntwo\n</output>\n[The job ended with exit code 0]";
  expect(jobIn(said)).toEqual({
    status: "completed",
    output: "one\ntwo",
    note: "[The job ended with exit code 0]",
  });
  expect(jobIn("<status>running</status>\n<output></output>")).toMatchObject({ output: "" });
  expect(jobIn("There is no background job b1; running: none.")).toBeNull();
});
