"""What an S3 store's refusal means, whose fault it is and what to do; knows no SDK."""

from dataclasses import dataclass

from slicer.errors import StorageError, StorageRefused, StorageUnavailable

MAX_MESSAGE = 200
"""Characters of a store's own words that an error repeats."""

_GRANT = "check the bucket's name; let this key put objects there (s3:PutObject)"
_KEYS = "check access key and secret key"

# Code → advice: a human has to change something.
_REFUSED = {
    "NoSuchBucket": "create the bucket, or correct its name",
    "AccessDenied": _GRANT,
    "AllAccessDisabled": _GRANT,
    "AccountProblem": "ask the store's operator about this account",
    "InvalidAccessKeyId": "check the access key: the store does not know it",
    "SignatureDoesNotMatch": f"{_KEYS}: the secret does not belong to the access key",
    "InvalidToken": f"{_KEYS}, and the session token",
    "ExpiredToken": "renew the temporary credentials",
    "RequestTimeTooSkewed": "set this machine's clock: it is too far from the store's",
    "InvalidObjectState": _GRANT,
    "NotImplemented": "this store lacks what an upload needs; use another one",
}
# Codes that pass although their status is in the 400s, and those said without a status.
_UNAVAILABLE = {
    "BadDigest": "the bytes were damaged on the way; it is tried again",
    "IncompleteBody": "the connection broke; it is tried again",
    "RequestTimeout": "the connection is too slow; it is tried again",
    "OperationAborted": "another change of this bucket is under way; it is tried again",
    "SlowDown": "the store asks for fewer requests; it is tried again",
    "TooManyRequests": "the store asks for fewer requests; it is tried again",
    "Throttling": "the store asks for fewer requests; it is tried again",
}
_WRONG_REGION = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
}
_PASSING = {408, 425, 429}
_CORRECT = "correct bucket, prefix or endpoint"
_TRIED_AGAIN = "the store has a fault of its own; it is tried again"


@dataclass(frozen=True, slots=True)
class Answer:
    """A store's refusal: HTTP *status* (0: none), S3 error *code*, its *message*, and the
    *region* it says it is in, where it says one."""

    status: int
    code: str
    message: str = ""
    region: str = ""

    @property
    def said(self) -> str:
        """Status, code and message on one line."""
        message = " ".join(self.message.split())[:MAX_MESSAGE]
        # A HEAD or a proxy answers without a code; the SDK then puts the status there.
        code = "" if self.code == str(self.status) else self.code
        head = " ".join(part for part in (str(self.status or ""), code) if part)
        return f"{head}: {message}" if message else head or "no reason given"


def storage_error(key: str, answer: Answer) -> StorageError:
    """The error for an answer that is not a success."""
    said, code, status = answer.said, answer.code, answer.status
    if code in _WRONG_REGION or status in {301, 307, 308}:
        where = f"the store names {answer.region}" if answer.region else "ask where the bucket is"
        return StorageRefused(key, said, f"wrong region or endpoint: {where}")
    if code in _UNAVAILABLE:
        return StorageUnavailable(key, said, _UNAVAILABLE[code])
    if code in _REFUSED or (400 <= status < 500 and status not in _PASSING):
        advice = f"{_KEYS}; {_GRANT}" if status in {401, 403} else _CORRECT
        return StorageRefused(key, said, _REFUSED.get(code, advice))
    return StorageUnavailable(key, said, _TRIED_AGAIN)
