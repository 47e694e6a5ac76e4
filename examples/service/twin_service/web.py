"""Addresses of the service: whether it lives, whether it is ready, what its twins say. Nothing can be written here."""

import base64
import binascii
import hmac
import ssl
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from twin_service.board import Board
from twin_service.configuration import Configuration

PAGE = Path(__file__).parent / "page"
FILES = {"page.js": "text/javascript", "style.css": "text/css"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Web:
    """The server. ready: why the service is not ready, [] where it is. degraded: which assets are left out meanwhile.
    alarms: of the service for one asset.
    """

    def __init__(
        self,
        configuration: Configuration,
        board: Board,
        metrics: Callable[[], bytes],
        ready: Callable[[], list[str]],
        degraded: Callable[[], list[str]],
        alarms: Callable[[str], list[str]],
    ) -> None:
        self._web, self._folder = configuration.web, configuration.folder
        self._board, self._metrics, self._ready, self._alarms = board, metrics, ready, alarms
        self._degraded = degraded
        self._token = "" if self._web.token is None else self._web.token.read()
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen; raises OSError where the address is taken."""
        app = web.Application(middlewares=[self._guarded])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._prometheus)
        app.router.add_get("/assets", self._assets)
        app.router.add_get("/assets/{name}", self._page)
        app.router.add_get("/assets/{name}/health", self._health)
        app.router.add_get("/assets/{name}/state", self._state)
        app.router.add_get("/", self._page)
        app.router.add_get("/{file}", self._file)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        context = None
        if self._web.certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._folder / self._web.certificate, self._folder / self._web.key)
        site = web.TCPSite(self._runner, self._web.host, self._web.port, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._token and request.path != "/healthz" and not self._knows(request.headers.get("Authorization", "")):
            # Basic makes a browser ask; the token is the password, and the name does not matter.
            return web.Response(status=401, text="a token is needed\n", headers={"WWW-Authenticate": "Basic"})
        response = await handler(request)
        response.headers.update(_HEADERS)
        return response

    def _knows(self, header: str) -> bool:
        kind, _, given = header.partition(" ")
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("utf8").partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif kind.lower() != "bearer":
            return False
        return hmac.compare_digest(given.encode(), self._token.encode())

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        reasons = self._ready()
        found = {"ready": not reasons, "reasons": reasons, "degraded": self._degraded()}
        return web.json_response(found, status=503 if reasons else 200)

    async def _prometheus(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _assets(self, request: web.Request) -> web.Response:
        rows = []
        for name, shown in self._board.assets.items():
            own = self._board.page(name, self._alarms(name))
            rows.append({"name": name, "status": shown.status, "time": own["time"], "alarms": own["alarms"][:1]})
        return web.json_response({"assets": rows, "service": [*self._ready(), *self._degraded()]})

    async def _health(self, request: web.Request) -> web.Response:
        name = self._name(request)
        return web.json_response(self._board.health(name, self._alarms(name)))

    async def _state(self, request: web.Request) -> web.Response:
        name = self._name(request)
        return web.json_response(self._board.page(name, self._alarms(name)))

    async def _page(self, request: web.Request) -> web.FileResponse:
        if "name" in request.match_info:
            self._name(request)
        return web.FileResponse(PAGE / "index.html")

    async def _file(self, request: web.Request) -> web.FileResponse:
        name = request.match_info["file"]
        if name not in FILES:
            raise web.HTTPNotFound(text=f"there is no {name}\n")
        return web.FileResponse(PAGE / name, headers={"Content-Type": FILES[name]})

    def _name(self, request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in self._board.assets:
            raise web.HTTPNotFound(text=f"there is no asset {name}; there are {', '.join(self._board.assets)}\n")
        return name
