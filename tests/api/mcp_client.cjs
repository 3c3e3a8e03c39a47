// The official TypeScript client of MCP, as an agent of another house has it: delegates one task over
// streamable HTTP, waits until it is over, and reads the report. What it was given goes to stdout as JSON.
//
//   node mcp_client.cjs '{"url": "…/mcp", "token": "…", "order": {…}, "mode": "auto"}'
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");

const { url, token, order, mode } = JSON.parse(process.argv[2]);

async function main() {
  const client = new Client({ name: "quorra", version: "1.0.0" }, { versionNegotiation: { mode } });
  const headers = { Authorization: `Bearer ${token}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  const call = async (name, given) => {
    const result = await client.callTool({ name, arguments: given });
    return result.isError ? { refused: result.content[0].text } : result.structuredContent;
  };
  const version = client.getNegotiatedProtocolVersion();
  const tools = (await client.listTools()).tools.map((tool) => tool.name);
  const delegated = await call("delegate_task", order);
  let status = delegated;
  while (status.over === false && status.state !== "waiting") {
    status = await call("task_status", { task_id: delegated.task_id, wait: 40 });
  }
  const report = delegated.task_id && (await call("task_report", { task_id: delegated.task_id }));
  await client.close();
  process.stdout.write(JSON.stringify({ version, tools, delegated, status, report: report ?? null }));
}

main().catch((error) => {
  process.stderr.write(`${error.name}: ${error.message}\n`);
  process.exitCode = 1;
});
