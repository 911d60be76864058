"""A W&B server on this machine that knows the little of its GraphQL that is asked here."""

import gzip
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StandIn:
    """Answers for the account `me` with its runs, and keeps the reports that it is sent.

    Attributes:
        runs: nodes as W&B sends them, see `run_node`.
        asked: (name of the operation, variables) of all requests.
        reports: id -> what was saved last.
    """

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.reports: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> "StandIn":
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                answer = {}
                if self.path == "/graphql":
                    answer = stand_in.answer(json.loads(body))
                content = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=lambda: self.http.serve_forever(0.01), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one GraphQL request."""
        found = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
        assert found
        name, variables = found[1], request.get("variables") or {}
        self.asked.append((name, variables))
        page = {"hasNextPage": False, "endCursor": None}
        if name in ("Viewer", "GetDefaultEntity"):
            viewer = {"id": "1", "entity": "me", "username": "me", "email": "", "flags": "{}"}
            return {"data": {"viewer": {**viewer, "teams": {"edges": []}}}}
        if name == "Runs":
            edges = [{"node": run, "cursor": str(i)} for i, run in enumerate(self.runs)]
            runs = {"edges": edges, "pageInfo": page}
            project = {"internalId": "7", "runCount": len(edges), "readOnly": False, "runs": runs}
            return {"data": {"project": project}}
        if name == "ProjectInternalId":
            return {"data": {"project": {"id": "7", "internalId": "7"}}}
        if name == "GetProjects":
            project = {
                "id": "7",
                "name": "stgcn_lightning",
                "entityName": "me",
                "createdAt": "2026-01-01T00:00:00",
                "isBenchmark": False,
                "user": None,
            }
            return {"data": {"models": {"edges": [{"node": project}], "pageInfo": page}}}
        if name == "upsertView":
            id = variables["id"] or "Vmlldzox"
            project = {"id": "7", "name": variables["projectName"], "entityName": "me"}
            self.reports[id] = {**variables, "id": id, "project": project, "updatedAt": None}
            return {"data": {"upsertView": {"view": self.reports[id], "inserted": True}}}
        if name == "SpecificReport":
            return {"data": {"view": self.reports[variables["reportId"]]}}
        return {"errors": [{"message": f"this stand-in knows no {name}"}]}


def run_node(name: str, group: str, job: str, config: Any, summary: Any) -> dict[str, Any]:
    """A run as W&B sends it."""
    return {
        "id": name,
        "projectId": "7",
        "name": name,
        "displayName": name,
        "state": "finished",
        "group": group,
        "jobType": job,
        "config": json.dumps({key: {"value": value} for key, value in config.items()}),
        "summaryMetrics": json.dumps(summary),
        "systemMetrics": "{}",
        "historyLineCount": 1,
        "historyKeys": None,
        "tags": [],
        "user": {"name": "me", "username": "me"},
        **dict.fromkeys(["sweepName", "commit", "description", "notes"]),
        "readOnly": False,
        "createdAt": "2026-01-01T00:00:00",
        "heartbeatAt": "2026-01-01T00:00:00",
    }
