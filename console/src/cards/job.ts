/** What TaskOutput said of a background job. */
export interface Job {
  status: string;
  output: string;
  /** What stands after it, such as how the job ended. */
  note: string;
}

const SAID = /<status>(\w+)<\/status>[\s\S]*?<output>\n?([\s\S]*?)\n?<\/output>\n?([\s\S]*)$/;

export function jobIn(said: string): Job | null {
  const parts = SAID.exec(said);
  if (!parts) return null;
  return { status: parts[1] ?? "", output: parts[2] ?? "", note: (parts[3] ?? "").trim() };
}
