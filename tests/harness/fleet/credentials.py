"""NATS accounts as `nsc` makes them: an operator, an account with JetStream, and files of users'
credentials."""

import base64
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys

JETSTREAM = ("mem_storage", "disk_storage", "streams", "consumer")
UNLIMITED = dict.fromkeys(
    ("subs", "data", "payload", "imports", "exports", "conn", "leaf", *JETSTREAM), -1
)


class Identity:
    """Keys of an operator, an account or a user."""

    def __init__(self, kind: int) -> None:
        self.seed: bytes = nkeys.encode_seed(os.urandom(32), kind)
        self._keys = nkeys.from_seed(self.seed)
        self.name = self._keys.public_key.decode()

    def token(self, about: "Identity", claims: Mapping[str, Any]) -> str:
        """A JWT in which this one says something of another."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        now = int(time.time())
        body = {"jti": "test", "iat": now, "iss": self.name, "sub": about.name, "name": "test"}
        body["nats"] = {"version": 2, **claims}
        text = ".".join(_base64(json.dumps(part).encode()) for part in (head, body))
        return f"{text}.{_base64(self._keys.sign(text.encode()))}"


@dataclass(frozen=True)
class Accounts:
    """*config*: what a server has to know of them."""

    config: str
    account: Identity

    def user(self, file: Path) -> Path:
        """Write the credentials of a user of the account, who may do whatever there is."""
        user = Identity(nkeys.PREFIX_BYTE_USER)
        claims = {"type": "user", "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}}
        token = self.account.token(user, claims)
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n"
            "------END USER NKEY SEED------\n"
        )
        return file


def make_accounts(store: Path) -> Accounts:
    """An operator with one account; *store*: where the server keeps streams."""
    operator = Identity(nkeys.PREFIX_BYTE_OPERATOR)
    system, account = (Identity(nkeys.PREFIX_BYTE_ACCOUNT) for _ in range(2))
    limits = UNLIMITED | {"wildcards": True}
    of_account = {"type": "account", "limits": limits, "default_permissions": {}}
    of_system = of_account | {"limits": limits | dict.fromkeys(JETSTREAM, 0)}
    config = f"""
jetstream {{ store_dir: "{store}" }}
operator: {operator.token(operator, {"type": "operator"})}
resolver: MEMORY
system_account: {system.name}
resolver_preload: {{
  {account.name}: {operator.token(account, of_account)}
  {system.name}: {operator.token(system, of_system)}
}}
"""
    return Accounts(config, account)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
