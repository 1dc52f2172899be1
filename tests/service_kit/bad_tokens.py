"""Tokens that must open nothing."""

import base64
import hmac
import json
import time

import jwt
from cryptography.hazmat.primitives import serialization

from tests.service_kit.toy import Issuer


def forged_with_public_key(issuer: Issuer) -> str:
    """An asymmetric key turned into an HMAC secret: everybody has the public key. By hand: PyJWT refuses to."""
    pem = issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    parts = [{"alg": "HS256", "typ": "JWT", "kid": issuer.kid}, {"sub": "x", "roles": ["admin"], "exp": 4102444800}]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = hmac.new(pem, signed, "sha256").digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def bad_tokens(issuer: Issuer) -> dict[str, str]:
    past = int(time.time()) - 3600
    stranger = Issuer()
    strange_kid = Issuer()
    strange_kid.kid = "../../etc/passwd"
    unknown_kid = Issuer()
    unknown_kid.kid = "other"
    return {
        "no token": "",
        "no JWT": "abc",
        "alg none": jwt.encode({"sub": "x", "roles": ["admin"]}, "", algorithm="none", headers={"kid": issuer.kid}),
        "HS256 with the public key": forged_with_public_key(issuer),
        "another key, same id": stranger.token("admin"),
        "a path for an id": strange_kid.token("admin"),
        "an unknown id": unknown_kid.token("admin"),
        "wrong issuer": issuer.token("admin", iss="http://elsewhere"),
        "wrong audience": issuer.token("admin", aud="other"),
        "expired": issuer.token("admin", exp=past),
        "not yet valid": issuer.token("admin", nbf=int(time.time()) + 3600),
        "no expiry": jwt.encode(
            {"iss": "http://127.0.0.1/tandem-local", "aud": "tandem", "sub": "x", "iat": past},
            issuer.key,
            algorithm="ES256",
            headers={"kid": issuer.kid},
        ),
        "roles are no list": issuer.token(roles="admin"),
        "Keycloak's ID token": issuer.token("admin", typ="ID"),
        "Keycloak's refresh token": issuer.token("admin", typ="Refresh"),
        "Keycloak's logout token": issuer.token("admin", typ="Logout"),
        "Cognito's ID token": issuer.token("admin", token_use="id"),
        "an ID token by its hash of the access token": issuer.token("admin", at_hash="MTIzNDU2Nzg5MDEyMzQ1Ng"),
        "a type that is no text": issuer.token("admin", typ=["Bearer"]),
        "a logout token by its header": issuer.token_of_type("logout+jwt", "admin"),
        "a proof of possession": issuer.token_of_type("dpop+jwt", "admin"),
    }
