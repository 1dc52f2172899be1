"""The dashboard at `/`: the files that Vite built, with a policy under which nothing foreign can run in them."""

import html
import mimetypes
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metrics_worker.settings import MetricsSettings

BUILT: Final = Path(__file__).parent / "built"
"""Written by `make dashboard`; part of the wheel, not of the repository."""
PAGES: Final = (
    "/",
    "/alerts",
    "/waiting",
    "/boards",
    "/customers",
    "/customers/{id}",
    "/numbers",
    "/numbers/{kpi}",
    "/explore",
    "/books",
    "/signed-in",
    "/signed-out",
)
"""Addresses of the page's own: each is the same document, which shows what its address says."""
_HEADERS: Final = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
_ASSET: Final = {**_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
"""The name of an asset holds the hash of its content."""
_NOT_BUILT: Final = b"The dashboard is not built: run `make dashboard`, then start metrics-api again.\n"


def add_to(app: FastAPI, settings: MetricsSettings, folder: Path = BUILT) -> None:
    """Serve the built files of a folder. The page needs no token; what it fetches does."""
    index = folder / "index.html"
    issuer = settings.dashboard_issuer or settings.auth_issuer
    headers = {**_HEADERS, "Cache-Control": "no-cache", "Content-Security-Policy": _policy(issuer, settings)}
    if not index.exists():
        app.router.routes += [_route(path, _NOT_BUILT, "text/plain", headers, status=503) for path in PAGES]
        return
    page = index.read_text()
    for name, value in {
        "issuer": issuer,
        "client-id": settings.dashboard_client_id,
        "scopes": settings.dashboard_scopes,
        "audience": settings.auth_audience,
        "sales-api": settings.sales_api_url,
        "service-api": settings.service_api_url,
    }.items():
        page = page.replace(f"{{{{{name}}}}}", html.escape(value))
    app.router.routes += [_route(path, page.encode(), "text/html", headers) for path in PAGES]
    for asset in sorted((folder / "assets").iterdir()):
        media_type = mimetypes.guess_type(asset.name)[0] or "application/octet-stream"
        app.router.routes.append(_route(f"/assets/{asset.name}", asset.read_bytes(), media_type, _ASSET))


def _policy(issuer: str, settings: MetricsSettings) -> str:
    """Return the policy: own files only, so that a name that carries markup or a script stays text, and no requests but
    to the three APIs and to where people sign in."""
    others = [urlsplit(address) for address in (issuer, settings.sales_api_url, settings.service_api_url)]
    connect = " ".join(["'self'", *(f"{each.scheme}://{each.netloc}" for each in others if each.netloc)])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {connect}; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _route(path: str, content: bytes, media_type: str, headers: dict[str, str], status: int = 200) -> Route:
    async def serve(_: Request) -> Response:
        return Response(content, status, media_type=media_type, headers=headers)

    return Route(path, serve, methods=["GET"], include_in_schema=False)
