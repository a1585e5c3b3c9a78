"""A Hub on loopback: folders as repositories of models and data sets, with the faults that networks have."""

import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


class FakeHub:
    """Serves ROOT/owner/name as models and ROOT-datasets/owner/name as data sets.

    Attributes:
        address: What HF_ENDPOINT is set to.
        aliases: Short names to full ones; the Hub answers them with a redirect.
        revisions: `{name: {branch or tag: folder}}` beside main.
        status: Answer files with this status; `api_status` the same for questions about repositories.
        fail_first: That many answers with `status` or `api_status`, then the right ones; 0 is always.
        headers: Headers of answers that fail.
        gated: Names that answer files with 403 and the Hub's code for gated repositories.
        token: The only token that is accepted; another one is answered with 401.
        drop_after: Break the connection after so many bytes of a file, the first time it is asked for.
        drops: How often each file is broken off.
        slow_seconds: Wait so long before every answer; `slow_files` before every file only.
        chunk_seconds: Wait so long before every 4 kB of a file.
        ranges: Whether `Range` is understood.
        html: Answer everything with a web page, as a login page in between does.
        requests: Every request so far, `GET /path`; with ` bytes=...` where a range was asked for.
        sent_bytes: Bytes of files that were sent.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data_root = root.with_name(root.name + "-datasets")
        for folder in (self.root, self.data_root):
            folder.mkdir(parents=True)
        self.reset()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def reset(self) -> None:
        self.aliases: dict[str, str] = {}
        self.revisions: dict[str, dict[str, Path]] = {}
        self.gated: set[str] = set()
        self.token = ""
        self.status = self.api_status = self.fail_first = self.failed = 0
        self.headers: dict[str, str] = {}
        self.drop_after = 0
        self.drops = 1
        self.dropped: dict[str, int] = {}
        self.slow_seconds = self.slow_files = self.chunk_seconds = 0.0
        self.ranges = True
        self.html = False
        self.requests: list[str] = []
        self.sent_bytes = 0

    def add(self, name: str, folder: Path, data: bool = False) -> str:
        """Publish a folder under a name, as a model or a data set; returns its commit."""
        target = (self.data_root if data else self.root) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(folder, target_is_directory=True)
        return self.commit(target)

    def commit(self, folder: Path) -> str:
        names = "".join(f"{path.relative_to(folder)}{path.stat().st_size}" for path in self.files(folder))
        return hashlib.sha1(names.encode()).hexdigest()

    def files(self, folder: Path) -> list[Path]:
        return sorted(path for path in folder.rglob("*") if path.is_file())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.hub
        path = urlsplit(self.path).path.strip("/")
        asked = self.headers.get("Range")
        hub.requests.append(f"{self.command} /{unquote(path)}" + (f" {asked}" if asked else ""))
        kind = re.match(r"(api/)?datasets(?=/|$)", path)
        api = path.startswith("api/")
        prefix = kind[0] if kind else "api/models" if api else ""
        root = hub.data_root if kind else hub.root
        time.sleep(hub.slow_seconds + (0 if api else hub.slow_files))
        if hub.html:
            return self.answer(200, b"<html>please log in</html>")
        if self.refused(api):
            return None
        if api and path == prefix:
            return self.answer(200, [{"id": name} for name in self.names(root)])
        parts = [unquote(part) for part in path.removeprefix(prefix).strip("/").split("/")]
        if parts[0] in hub.aliases:
            target = "/".join([*([prefix] if prefix else []), hub.aliases[parts[0]], *parts[1:]])
            return self.answer(307, b"", {"Location": f"/{target}"})
        name, rest = "/".join(parts[:2]), parts[2:]
        folder = root / name
        if name not in self.names(root):
            return self.answer(404, {}, {"X-Error-Code": "RepoNotFound"})
        if not api and name in hub.gated:
            return self.answer(403, {}, {"X-Error-Code": "GatedRepo"})
        known = {"main": folder, **hub.revisions.get(name, {})}
        known |= {hub.commit(kept): kept for kept in known.values()}
        revision = rest[1] if len(rest) > 1 else "main"
        if revision not in known:
            return self.answer(404, {}, {"X-Error-Code": "RevisionNotFound"})
        return self.repository(name, known[revision]) if api else self.file(known[revision], rest)

    def refused(self, api: bool) -> bool:
        """Answer with the failure that was asked for, if one was."""
        hub = self.hub
        if hub.token and self.headers.get("Authorization", f"Bearer {hub.token}") != f"Bearer {hub.token}":
            words = "Invalid credentials in Authorization header"
            self.answer(401, {"error": words}, {"X-Error-Message": words})
            return True
        status = hub.api_status if api else hub.status
        if not status or (hub.fail_first and hub.failed >= hub.fail_first):
            return False
        hub.failed += 1
        self.answer(status, {"error": "as told"}, hub.headers)
        return True

    def names(self, root: Path) -> list[str]:
        return [f"{path.parent.name}/{path.name}" for path in root.glob("*/*")]

    def repository(self, name: str, folder: Path) -> None:
        files = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in self.hub.files(folder)]
        siblings = [{"rfilename": path, "size": size} for path, size in files]
        self.answer(200, {"id": name, "modelId": name, "sha": self.hub.commit(folder), "siblings": siblings})

    def file(self, folder: Path, rest: list[str]) -> None:
        path = folder / "/".join(rest[2:])
        if rest[0] != "resolve" or not path.is_file():
            return self.answer(404, {}, {"X-Error-Code": "EntryNotFound"})
        data = path.read_bytes()
        etag = hashlib.sha256(data).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": self.hub.commit(folder)}
        start = (
            int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
            if self.hub.ranges
            else 0
        )
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(206 if start else 200, data[start:], headers)

    def answer(self, code: int, body: Any, headers: dict[str, str] | None = None) -> None:
        file = isinstance(body, bytes)
        data = body if file else json.dumps(body).encode()
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        hub = self.hub
        if file and hub.drop_after and len(data) > hub.drop_after and hub.dropped.get(self.path, 0) < hub.drops:
            hub.dropped[self.path] = hub.dropped.get(self.path, 0) + 1
            data = data[: hub.drop_after]
            self.close_connection = True
        try:
            for start in range(0, len(data), 4096):
                if file and hub.chunk_seconds:
                    time.sleep(hub.chunk_seconds)
                self.wfile.write(data[start : start + 4096])
                hub.sent_bytes += len(data[start : start + 4096]) if file else 0
        except OSError:  # whoever asked has gone
            self.close_connection = True
