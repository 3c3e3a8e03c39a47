/** The wire, as docs/protocol.md has it: what the service sends and takes. Only what the page uses. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** RFC 9457. */
export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  code?: string;
  conversation_id?: string;
}

export type RunState = "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled";

export interface RunView {
  id: string;
  state: RunState;
  reason: string | null;
  detail: string | null;
  cost_dollars: number;
  limits: Limits;
  retry_at: string | null;
}

/** What a run may use before it waits and asks. */
export interface Limits {
  turns: number;
  dollars: number;
  prompt_tokens: number;
}

/** What all runs of a task may use together. */
export interface TaskLimits {
  turns: number;
  tokens: number;
  dollars: number;
  minutes: number;
}

/** A task, as far as the page shows it beside its conversation. */
export interface TaskView {
  id: string;
  budget: { [limit in keyof TaskLimits]: number | null };
  spent: TaskLimits;
  branch: string | null;
  deadline: string | null;
  ended_at: string | null;
}

/** Limits to raise, of the present run and of its task. */
export type BudgetOrder = Partial<Limits> & { task?: Partial<TaskLimits> };

/** A limit that was reached, in what it names. */
export interface Reached {
  scope: "run" | "task" | "principal_day";
  limit: string;
  used: number;
  wanted: number;
  allowed: number;
}

/** Who watches a conversation: up to 50 names, and how many people in all. */
export interface Presence {
  names: string[];
  count: number;
}

export interface PresenceNotice {
  kind: "presence";
  conversation_id: string;
  present: Presence;
}

/** An alert began or is over; told to admins alone. */
export interface AlertNotice {
  kind: "alert";
  state: "firing" | "resolved";
}

export type Notice = PresenceNotice | AlertNotice;

export interface ConversationView {
  id: string;
  title: string | null;
  agent: string;
  workspace: string;
  workspace_id: string;
  created_at: string;
  last_seq: number;
  permission_mode: string | null;
  task_id: string | null;
  run: RunView | null;
}

export interface WorkspaceView {
  id: string;
  name: string;
  path: string | null;
}

export interface AgentView {
  name: string;
  description: string;
  model: string;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface ReadyPart {
  name: string;
  state: "ok" | "degraded" | "down";
  detail: string | null;
}

export interface Readiness {
  ok: boolean;
  parts: ReadyPart[];
}

/** Whether the service has a key of the model's API; never the key. */
export interface ModelKeyView {
  source: "environment" | "stored" | "none";
  stored_at: string | null;
  accepted: boolean | null;
  address: string;
}

export interface ExampleTask {
  title: string;
  instructions: string;
  workspace: string;
  checkout: string;
}

export interface ExampleView {
  state: "not-offered" | "off" | "preparing" | "ready" | "failed";
  detail: string | null;
  task: ExampleTask | null;
  workspaces: string[];
  workers: {
    pid: number;
    state: "starting" | "idle" | "working";
    conversation_id: string | null;
  }[];
  lease_seconds: number;
}

export interface ExampleCrash {
  conversation_id: string;
  pid: number;
  call_id: string;
  at: string;
}

/** A content block as the Messages API has it; unknown kinds are left alone. */
export interface Block {
  type: string;
  [key: string]: Json | undefined;
}

export interface Usage {
  input: number;
  output: number;
  cache_read: number;
  cache_write_5m: number;
  cache_write_1h: number;
}

export type Outcome = "ok" | "error" | "cancelled" | "denied" | "unknown";

export interface Evidence {
  kind: string;
  path?: string;
  before?: string | null;
  after?: string;
  lines_added?: number;
  lines_removed?: number;
  command?: string;
  exit_code?: number | null;
  timed_out?: boolean;
  task_id?: string | null;
  matches?: number;
  cut?: boolean;
  /** Of a changed file: what it held before is kept, so the call can be undone. */
  kept?: boolean;
  /** Of a file that linters looked at: the findings that were not there before, and how many were. */
  new?: Finding[];
  more?: number;
  old?: number;
  known?: boolean;
  tools?: string[];
  not_run?: string[];
}

/** What an undo is about: one call, or all that was done after a seq. */
export type Undone = { kind: "call"; call_id: string; seq: number } | { kind: "seq"; seq: number };

/** A path that a call changed. */
/** What git's HEAD named before and after: a branch (`ref: refs/heads/main`) or a commit, and the branch's commit. */
export interface GitMoved {
  head_before: string | null;
  head: string | null;
  commit_before: string | null;
  commit: string | null;
  refs: boolean;
  index: boolean;
}

export interface ChangedPath {
  path: string;
  change: "added" | "modified" | "deleted" | "mode" | "type";
  kind: "file" | "link" | "directory";
  lines_added: number;
  lines_removed: number;
  binary: boolean;
}

export interface Finding {
  tool: string;
  rule: string;
  severity: "error" | "warning" | "note";
  message: string;
  path: string;
  line: number | null;
}

/** What the evidence says of something that the agent claims. */
export type Judgement = "supported" | "contradicted" | "unverified";

export interface Claim {
  said: string;
  judgement: Judgement;
  why: string;
  seq: number | null;
}

/** What is marked `?` came with a later version: reports of older ones lack it. */
export interface Report {
  task_id: string;
  state: "completed" | "failed" | "cancelled";
  detail: string | null;
  prose: string;
  evidence: {
    files: { path: string; lines_added: number; lines_removed: number; before: string | null }[];
    commands: {
      seq: number;
      command: string;
      exit_code: number | null;
      outcome: Outcome;
      duration_ms: number;
      description?: string | null;
    }[];
    checks?: DiffChecks | null;
    checks_missing?: string | null;
    steps: number;
    tool_calls: number;
    cost_dollars: number;
    duration_ms: number;
    stop_reason: string;
    branch?: string | null;
    commits?: { sha: string; subject: string; files: number }[];
    more_commits?: number;
    handed_over?: string | null;
    hand_over_detail?: string | null;
  };
  criteria?: {
    criterion: string;
    said: "met" | "not_met" | "unknown" | "unsaid";
    how: string;
    judgement: Judgement;
    why: string;
  }[];
  account?: {
    summary: string;
    next_steps: { who: string; what: string }[];
    left_undone: string[];
    risks: string[];
  } | null;
  account_missing?: string | null;
  claims?: Claim[];
  unmentioned?: string[];
}

/** What linters and checklist say of what a task left; `new` null: nobody knows. */
export interface DiffChecks {
  findings: (Finding & { new: boolean | null })[];
  more: number;
  ran: { tool: string }[];
  not_run: { tool: string; reason: string; path: string | null }[];
  checklist: {
    id: string;
    title: string;
    verdict: "passed" | "failed" | "not verifiable";
    proofs: { verdict: string; why: string; path: string | null; line: number | null }[];
  }[];
  notes: string[];
}

interface Data {
  "message.sent": {
    message_id: string;
    client_message_id: string | null;
    principal: string;
    text: string;
  };
  "interrupt.requested": { principal: string; reason: string | null };
  "budget.raised": {
    principal: string;
    turns: number | null;
    nanodollars: number | null;
    prompt_tokens: number | null;
  };
  "approval.requested": {
    approval_id: string;
    call_id: string;
    tool: string;
    input: Json;
    call_digest: string;
    reason: string;
    expires_at: string;
  };
  "approval.decided": {
    approval_id: string;
    call_id: string;
    decision: "allow" | "deny";
    principal: string;
    message: string | null;
  };
  "approval.expired": { approval_id: string; call_id: string; reason: string };
  "mode.changed": { principal: string; mode: string };
  "undo.requested": { principal: string; target: Undone };
  "workspace.changed": {
    call_id: string | null;
    tool: string | null;
    before: string | null;
    after: string | null;
    files: ChangedPath[];
    more: number;
    uncovered: { path: string; why: string }[];
    uncovered_more: number;
    git?: GitMoved | null;
    diff_bytes: number;
    diff_cut: boolean;
    missed: string | null;
  };
  "workspace.reverted": {
    target: Undone;
    files: { path: string; before: string | null; after: string | null }[];
    more: number;
    left: string[];
    refused: string | null;
  };
  "run.queued": { reason: string };
  "run.started": { epoch: number; worker: string };
  "budget.reached": Reached;
  "run.waiting": { reason: string; detail: string; retry_at: string | null };
  "run.completed": { stop_reason: string; steps: number; nanodollars: number };
  "run.failed": { code: string; detail: string; nanodollars: number };
  "run.cancelled": { principal: string; reason: string | null; nanodollars: number };
  "step.started": { step: number; attempt: number; input_seqs: number[]; model: string };
  "message.completed": {
    step: number;
    model: string;
    stop_reason: string;
    content: Block[];
    /** It is the account of a task, which its report shows. */
    account?: boolean;
  };
  "step.completed": { step: number; usage: Usage; nanodollars: number; duration_ms: number };
  "step.failed": {
    step: number;
    reason: string;
    detail: string;
    retry_at: string | null;
    withdrawn_steps: number[];
  };
  "tool.started": { step: number; call_id: string; tool: string; input: Json };
  "tool.finished": {
    step: number;
    call_id: string;
    tool: string;
    outcome: Outcome;
    content: Block[];
    evidence: Evidence[];
    duration_ms: number;
  };
  "checkout.made": {
    branch: string;
    base: string;
    existing: boolean;
    default_branch: string | null;
    uncommitted: number | null;
    again: boolean;
  };
  "checkout.skipped": { code: string; detail: string };
  "task.committed": {
    branch: string;
    head: string;
    commits: { sha: string; subject: string; files: number }[];
    more: number;
    outcome: string;
    detail: string | null;
  };
  "task.reported": { report: Report };
}

interface Place {
  conversation_id: string;
  seq: number;
  at: string;
  run_id: string | null;
}

/** An event by its type. Types that this page does not know are skipped where they are read. */
export type Envelope = {
  [T in keyof Data]: Place & { type: T; data: Data[T] };
}[keyof Data];

export interface Delta {
  conversation_id: string;
  epoch: number;
  step: number;
  block: number;
  offset: number;
  kind: "text" | "thinking" | "tool_input" | "output";
  text: string;
  call_id?: string;
  tool?: string;
}
