"""What a store's refusal means: whose fault it is, and what to do about it."""

from dataclasses import dataclass

from slicer.errors import StorageError, StorageRefused, StorageUnavailable
from slicer.storage import Credentials

MAX_MESSAGE = 200
"""Characters of a store's own words that an error repeats."""

_GRANT = "check the bucket's name; let this key put objects there ({right})"
_KEYS = "check access key and secret key"
_TRIED_AGAIN = "the store has a fault of its own; it is tried again"
_BILL = "the account is closed or in arrears: ask who pays the bill"

# Code → advice: a human has to change something.
_REFUSED = {
    "NoSuchBucket": "create the bucket, or correct its name",
    "ContainerNotFound": "create the container (Azure's bucket), or correct its name",
    "AuthenticationFailed": f"{_KEYS}, and this machine's clock",
    "AuthorizationPermissionMismatch": _GRANT,
    "AccountIsDisabled": _BILL,
    "AccessDenied": _GRANT,
    "AllAccessDisabled": _GRANT,
    "AccountProblem": "ask the store's operator about this account",
    "UserDisable": _BILL,
    "UnavailableForLegalReasons": _BILL,
    "InvalidAccessKeyId": "check the access key: the store does not know it",
    "SignatureDoesNotMatch": f"{_KEYS}: the secret does not belong to the access key",
    "InvalidToken": f"{_KEYS}, and the session token",
    "InvalidSecurityToken": f"{_KEYS}, and the session token",
    "ExpiredToken": "renew the temporary credentials",
    "SecurityTokenExpired": "renew the temporary credentials",
    "InvalidStorageClass": "this bucket has no such storage class: correct ?class=…",
    "KmsServiceNotEnabled": "enable the KMS, or take ?sse=… out",
    "RequestTimeTooSkewed": "set this machine's clock: it is too far from the store's",
    "InvalidObjectState": _GRANT,
    "NotImplemented": "this store lacks what an upload needs; use another one",
}
# Codes that pass although their status is in the 400s, and those said without a status.
_UNAVAILABLE = {
    "BadDigest": "the bytes were damaged on the way; it is tried again",
    "InvalidDigest": "the bytes were damaged on the way; it is tried again",
    "IncompleteBody": "the connection broke; it is tried again",
    "RequestTimeout": "the connection is too slow; it is tried again",
    "OperationAborted": "another change of this bucket is under way; it is tried again",
    "ServerBusy": "the store asks for fewer requests; it is tried again",
    "OperationTimedOut": _TRIED_AGAIN,
    "SlowDown": "the store asks for fewer requests; it is tried again",
    "TooManyRequests": "the store asks for fewer requests; it is tried again",
    "Throttling": "the store asks for fewer requests; it is tried again",
    "RequestLimitExceeded": "the store asks for fewer requests; it is tried again",
    "QpsLimitExceeded": "the store asks for fewer requests; it is tried again",
    "TotalQpsLimitExceeded": "the store asks for fewer requests; it is tried again",
    "UploadTrafficRateLimitExceeded": "the store asks for less at once; it is tried again",
}
_WRONG_REGION = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
}
# OSS's way to say it, under the code AccessDenied.
_ELSEWHERE = "must be addressed using the specified endpoint"
_PASSING = {408, 425, 429}
_CORRECT = "correct bucket, prefix or endpoint"


@dataclass(frozen=True, slots=True)
class Answer:
    """A store's refusal: HTTP *status* (0: none), S3 error *code*, its *message*, the *region*
    it says it is in and the seconds it asks for (*retry_after*), where it says them."""

    status: int
    code: str
    message: str = ""
    region: str = ""
    retry_after: float | None = None

    @property
    def reason(self) -> str:
        """Status, code and message on one line."""
        message = " ".join(self.message.split())[:MAX_MESSAGE]
        # A HEAD or a proxy answers without a code; the SDK then puts the status there.
        code = "" if self.code == str(self.status) else self.code
        head = " ".join(part for part in (str(self.status or ""), code) if part)
        return f"{head}: {message}" if message else head or "no reason given"


def storage_error(key: str, answer: Answer, right: str = "s3:PutObject") -> StorageError:
    """The error for an answer that is not a success. *right*: what a key needs to upload."""
    reason, code, status = answer.reason, answer.code, answer.status
    if code in _WRONG_REGION or 300 <= status < 400 or _ELSEWHERE in answer.message:
        where = f"the store names {answer.region}" if answer.region else "ask where the bucket is"
        return StorageRefused(key, reason, f"wrong region or endpoint: {where}")
    if code in _UNAVAILABLE:
        return StorageUnavailable(key, reason, _UNAVAILABLE[code], answer.retry_after)
    if code in _REFUSED or (400 <= status < 500 and status not in _PASSING):
        advice = f"{_KEYS}; {_GRANT}" if status in {401, 403} else _CORRECT
        return StorageRefused(key, reason, _REFUSED.get(code, advice).format(right=right))
    return StorageUnavailable(key, reason, _TRIED_AGAIN, answer.retry_after)


def retry_after(value: str) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3); its form as a date is passed over."""
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else None


def hide(text: str, credentials: Credentials | None) -> str:
    """*text* without the keys, and not longer than an error needs."""
    secrets = (credentials.secret_key, credentials.access_key) if credentials else ()
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return text[:500]


def rekeyed(key: str, error: StorageError, credentials: Credentials | None) -> StorageError:
    """The same error about *key*, without the keys."""
    reason = hide(error.reason, credentials)
    return type(error)(key, reason, error.advice, error.retry_after)
