"""The signed link by which a customer answers a survey without an account."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request

from service_kit.dependencies import async_dependency
from service_kit.problems import NotFound, Problem

_SIGNATURE_BYTES: Final = 16
_EXPIRY_BYTES: Final = 4
_BYTES: Final = 16 + _EXPIRY_BYTES + _SIGNATURE_BYTES
"""A multiple of three: only one text in base64 means them."""


class SurveyLinkExpired(Problem):
    """The link is genuine, and was valid until `expired_at`."""

    status, slug, title = 410, "survey-link-expired", "The link to this survey has expired"


class SurveyLinks:
    """Signs and verifies tokens: the survey's id, the second in which the link expires, and an HMAC-SHA256 over both.

    The signature is cut to 128 bits, and all of it is written in base64url.
    The first secret signs; links by any of them are accepted, so that a secret can be changed while links are out.
    """

    def __init__(self, *secrets: str, days: int) -> None:
        self._secrets: Sequence[bytes] = [secret.encode() for secret in secrets]
        self._lifetime = timedelta(days=days)

    def path_of(self, survey_id: UUID, sent_at: datetime) -> str | None:
        """Return the path that the survey's customer sends the answer to; None once the link has expired."""
        expires_at = sent_at + self._lifetime
        return None if expires_at <= datetime.now(UTC) else f"/v1/survey-answers/{self.token(survey_id, expires_at)}"

    def token(self, survey_id: UUID, expires_at: datetime) -> str:
        """Return the token by which a survey can be answered until then."""
        signed = survey_id.bytes + int(expires_at.timestamp()).to_bytes(_EXPIRY_BYTES, "big")
        return base64.urlsafe_b64encode(signed + _signature(self._secrets[0], signed)).rstrip(b"=").decode()

    def read(self, token: str) -> UUID:
        """Return the survey that a token is for.

        Raise `NotFound` (404) when the signature is not valid, and `SurveyLinkExpired` (410).
        """
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise _no_survey() from None
        signed, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
        valid = [hmac.compare_digest(signature, _signature(secret, signed)) for secret in self._secrets]
        if len(raw) != _BYTES or not any(valid):
            raise _no_survey()
        expires_at = datetime.fromtimestamp(int.from_bytes(signed[16:], "big"), UTC)
        if expires_at <= datetime.now(UTC):
            at = expires_at.isoformat().replace("+00:00", "Z")
            raise SurveyLinkExpired(f"It was valid until {at}. Ask for a new survey.", expired_at=at)
        return UUID(bytes=signed[:16])


def _signature(secret: bytes, signed: bytes) -> bytes:
    # The purpose is signed too: the secret may come to sign other things about the same id.
    return hmac.digest(secret, b"survey-answer:" + signed, hashlib.sha256)[:_SIGNATURE_BYTES]


def _no_survey() -> NotFound:
    return NotFound("There is no survey for this link. Use the survey's answer_path unchanged.")


def links_of(request: Request) -> SurveyLinks:
    """Return the application's signer, as wired in `app.py`."""
    links: SurveyLinks = request.app.state.survey_links
    return links


Links = Annotated[SurveyLinks, Depends(async_dependency(links_of))]
