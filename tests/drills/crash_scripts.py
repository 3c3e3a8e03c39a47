"""What the model plays in the crash drills."""

SCRIPTS = """
name: later
match: And now?
match_in: latest_message
turns: [{blocks: [{thinking: Later.}, {text: Here I am.}]}]
---
name: work
match: Do the work
turns:
  - blocks:
      - {thinking: I look at both files first.}
      - {text: I look at both files.}
      - {tool: Read, input: {file_path: notes.txt}}
      - {tool: Read, input: {file_path: config.txt}}
  - blocks:
      - {tool: Bash, input: {command: "echo held >> ledger.txt; until [ -e go ]; do sleep 0.05; done"}}
  - blocks:
      - {text: Now the files.}
      - {tool: Write, input: {file_path: report.txt, content: "The sky is blue.\\n"}}
      - {tool: Edit, input: {file_path: config.txt, old_string: red, new_string: blue}}
  - blocks:
      - {thinking: Three at once.}
      - {tool: Bash, input: {command: "echo one >> ledger.txt"}}
      - {tool: Bash, input: {command: "echo two >> ledger.txt"}}
      - {tool: Bash, input: {command: "echo three >> ledger.txt"}}
  - blocks: [{text: All of it is done.}]
---
name: accounted
match: Write and account
turns:
  - blocks:
      - {thinking: A script.}
      - {tool: Write, input: {file_path: run.sh, content: "#!/bin/sh\\necho $1\\n"}}
  - blocks: [{tool: Bash, input: {command: "echo ran >> ledger.txt"}}]
  - blocks: [{thinking: So.}, {text: It is written.}]
account:
  summary: It is accounted for.
  files_changed: [run.sh]
---
name: undoing
match: Change two files
turns:
  - blocks: [{tool: Read, input: {file_path: config.txt}}]
  - blocks:
      - {tool: Edit, input: {file_path: config.txt, old_string: red, new_string: blue}}
      - {tool: Write, input: {file_path: made/report.txt, content: "blue\\n"}}
  - blocks: [{text: Both are blue.}]
---
name: chores
match: Do the chores
turns:
  - blocks:
      - {tool: Bash, input: {command: "echo one >> marks.txt; mkdir -p made/deep; echo x > made/deep/x.txt"}}
      - tool: Bash
        input: {command: "echo two >> marks.txt; rm config.txt; mkdir config.txt; chmod 600 notes.txt"}
  - blocks: [{text: Chores are done.}]
---
name: delegated
match: Hand it over
turns:
  - blocks: [{tool: Write, input: {file_path: made.txt, content: "made\\n"}}]
  - blocks:
      - {tool: Bash, input: {command: "git add -A && git commit -qm 'Step one' && printf more > more.txt"}}
  - blocks: [{text: It is on its branch.}]
---
name: asking
match: Ask first
turns:
  - blocks:
      - {tool: Read, input: {file_path: notes.txt}}
      - {tool: Bash, input: {command: "echo asked >> ledger.txt"}}
  - blocks: [{text: It was allowed.}]
---
name: long
match: Take your time
turns:
  - blocks: [{tool: Read, input: {file_path: notes.txt}}]
  - blocks: [{tool: Read, input: {file_path: notes.txt}}]
  - blocks: [{tool: Read, input: {file_path: notes.txt}}]
  - blocks: [{tool: Read, input: {file_path: notes.txt}}]
  - blocks: [{tool: Read, input: {file_path: notes.txt}}]
  - blocks: [{tool: Read, input: {file_path: notes.txt}}]
  - blocks: [{tool: Read, input: {file_path: notes.txt}}]
  - blocks: [{tool: Read, input: {file_path: notes.txt}}]
  - blocks: [{text: That took nine turns.}]
---
name: patient
match: Wait for the model
turns:
  - faults: [{kind: rate_limited, retry_after: 3, on_attempt: 1}]
    blocks: [{text: Here is your answer.}]
---
name: ticking
match: Tick
turns:
  - blocks:
      - tool: Bash
        input: {command: "echo ticked >> ledger.txt; while :; do echo x >> ticks.txt; sleep 0.05; done"}
      - {tool: Bash, input: {command: "echo never >> ledger.txt"}}
  - blocks: [{text: I was stopped.}]
---
name: refused
match: Break
turns:
  - faults: [{kind: bad_request}]
    blocks: [{text: Never seen.}]
---
name: background
match: Let it run
turns:
  - blocks:
      - tool: Bash
        input: {command: "echo job >> ledger.txt; sleep 86400", run_in_background: true}
  - blocks: [{text: It runs.}]
---
name: small
match: Say something
turns: [{blocks: [{text: Something.}]}]
"""
