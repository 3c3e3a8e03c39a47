"""A small Quorra: delegates two tasks, the second after the first, and reads what each can prove.

    FLYNN_URL=http://127.0.0.1:8000 FLYNN_KEY=fly_… python quorra.py

It needs nothing but Python. Run it again with the same QUORRA_ERRAND: the tasks are the same ones, not new.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

URL = os.environ.get("FLYNN_URL", "http://127.0.0.1:8000") + "/api/v1"
KEY = os.environ.get("FLYNN_KEY", "")
ERRAND = os.environ.get("QUORRA_ERRAND", uuid.uuid4().hex)


def call(method, path, body=None, **headers):
    """One request. What is worth another try (a full queue, an order in flight) is tried again."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **headers}
    while True:
        request = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=90) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            if "retry_after" not in problem:
                sys.exit(f"{problem['title']}: {problem['detail']}")
            time.sleep(problem["retry_after"])
        except OSError as error:
            why = getattr(error, "reason", error)
            sys.exit(f"Flynn does not answer at {URL} ({why}): start it, or name it in FLYNN_URL.")


def delegate(name, order):
    """A task, once, however often this is called."""
    return call("POST", "/tasks", order, **{"Idempotency-Key": f"{ERRAND}-{name}"})


def over(task):
    """The task, when it is over or waits for somebody."""
    while task["state"] in ("queued", "running"):
        task = call("GET", f"/tasks/{task['id']}?wait=60")
    return task


def main():
    """Delegate, wait, judge by the evidence. The exit code says whether all is done."""
    if not KEY:
        sys.exit("FLYNN_KEY is not set: make a key with `flynn keys create quorra --scope delegate`.")
    look = delegate(
        "look",
        {
            "title": "Take stock",
            "instructions": "Look through this repository and say what is missing before it can be deployed.",
            "permission_mode": "plan",
        },
    )
    mend = delegate(
        "mend",
        {
            "title": "Mend the first",
            "instructions": "Of what the earlier task found, mend what matters most, and nothing else.",
            "acceptance_criteria": ["every file that was changed has been checked"],
            "context": {"tasks": [look["id"]]},
            "after": [look["id"]],
            "after_failed": "skip",
        },
    )
    well = True
    for task in (over(look), over(mend)):
        print(f"{task['title']}: {task['state']} {task['detail'] or ''}".rstrip())
        well &= task["state"] == "completed"
        if task["report"] is None:
            continue
        evidence = task["report"]["evidence"]
        for file in evidence["files"]:
            print(f"  {file['path']}  +{file['lines_added']} -{file['lines_removed']}")
        for command in evidence["commands"]:
            first, *_ = command["command"].split("\n")
            print(f"  $ {first}  -> {command['exit_code']}")
        print(f"  {evidence['cost_dollars']:.4f} dollars. It says: {task['report']['prose']}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
