"""`/docs`: a page on which the API can be read and tried, with all its assets, under a strict content policy."""

from importlib import resources

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

# Nothing from other hosts: the page must work on a closed network, and no other script may see the token.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_START = (
    'window.addEventListener("load", () => SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", '
    "deepLinking: true, persistAuthorization: true }));"
)


def docs_routes(title: str) -> list[Route]:
    """Return the routes of the page and its assets."""
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<link rel="stylesheet" href="/docs/swagger-ui.css"></head>'
        '<body><main id="docs"></main>'
        '<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body></html>'
    )

    async def docs(_: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    async def start(_: Request) -> Response:
        return Response(_START, media_type="text/javascript")

    def asset(name: str, media_type: str) -> Route:
        content = resources.files("fastapi_offline").joinpath("static", name).read_bytes

        async def serve(_: Request) -> Response:
            return Response(content(), media_type=media_type, headers={"Cache-Control": "max-age=86400"})

        return Route(f"/docs/{name}", serve, include_in_schema=False)

    return [
        Route("/docs", docs, include_in_schema=False),
        Route("/docs/start.js", start, include_in_schema=False),
        *(asset(name, media_type) for name, media_type in _ASSETS.items()),
    ]
