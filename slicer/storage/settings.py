"""The settings of the store that takes slices where a task names none."""

from dataclasses import dataclass

from slicer.config import secret
from slicer.storage import Credentials


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where slices go unless a task says otherwise."""

    url: str = ""
    """file:///folder, or s3://, cos://, oss://, gs:// or az://bucket/prefix?region=…&endpoint=…"""
    access_key: str = secret("SLICER_ACCESS_KEY")
    """The store's access key; empty: the vendor's usual places are looked into."""
    secret_key: str = secret("SLICER_SECRET_KEY")
    """The store's secret key."""

    def credentials(self) -> Credentials | None:
        """Both keys, or None where they are to be looked for in the vendor's usual places."""
        return Credentials(self.access_key, self.secret_key) if self.access_key else None
