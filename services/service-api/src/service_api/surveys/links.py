"""The signed link by which a customer answers a survey without an account."""

import base64
import hashlib
import hmac
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request

from service_kit.dependencies import async_dependency

_SIGNATURE_BYTES: Final = 16
_BYTES: Final = 16 + _SIGNATURE_BYTES


class SurveyLinks:
    """Signs and verifies tokens: the survey's id and an HMAC-SHA256 over it, cut to 128 bits, in base64url."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def path_of(self, survey_id: UUID) -> str:
        """Return the path that the survey's customer sends the answer to."""
        token = base64.urlsafe_b64encode(survey_id.bytes + self._sign(survey_id)).rstrip(b"=").decode()
        return f"/v1/survey-answers/{token}"

    def read(self, token: str) -> UUID | None:
        """Return the survey that a token is for, or None when the signature is not valid."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        if len(raw) != _BYTES:
            return None
        survey_id = UUID(bytes=raw[:16])
        return survey_id if hmac.compare_digest(raw[16:], self._sign(survey_id)) else None

    def _sign(self, survey_id: UUID) -> bytes:
        # The purpose is signed too: the secret may come to sign other things about the same id.
        return hmac.digest(self._secret, b"survey-answer:" + survey_id.bytes, hashlib.sha256)[:_SIGNATURE_BYTES]


def links_of(request: Request) -> SurveyLinks:
    """Return the application's signer, as wired in `app.py`."""
    links: SurveyLinks = request.app.state.survey_links
    return links


Links = Annotated[SurveyLinks, Depends(async_dependency(links_of))]
