"""Frames: what is written to a Socket.IO client, as JSON, without the detours of the general way."""

import json

import orjson

from flynn.domain.content import Json
from flynn.domain.delta import Delta


class FastJson:
    """JSON for python-socketio: orjson writes, the standard library reads (it takes lone surrogates)."""

    @staticmethod
    def dumps(value: Json, **_options: object) -> str:
        """Write compact JSON."""
        try:
            return orjson.dumps(value).decode()
        except TypeError:
            return json.dumps(value, separators=(",", ":"))

    loads = staticmethod(json.loads)


def event_frame(event: str, data: Json) -> str:
    """An event of the default namespace (Socket.IO protocol 5: "2", then name and argument)."""
    return "2" + FastJson.dumps([event, data])


def delta_frame(delta: Delta) -> str:
    """The event `delta`. Written out by hand: it is what a busy process does most."""
    said: dict[str, Json] = {
        "conversation_id": delta.conversation_id,
        "epoch": delta.epoch,
        "step": delta.step,
        "block": delta.block,
        "offset": delta.offset,
        "kind": delta.kind,
        "text": delta.text,
    }
    if delta.call_id is not None:
        said["call_id"] = delta.call_id
    if delta.tool is not None:
        said["tool"] = delta.tool
    try:
        return f'2["delta",{orjson.dumps(said).decode()}]'
    except TypeError:  # a lone surrogate
        return event_frame("delta", {**said, "conversation_id": str(delta.conversation_id)})
